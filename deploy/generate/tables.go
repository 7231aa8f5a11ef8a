package generate

import (
	"fmt"
	"strings"
)

// writePrices gives every market a price, and its oddities.
func (o *Options) writePrices(out *writer) {
	d := newDice(o, 3)
	out.header("provider,region,sku,pricing_category,currency,price_per_hour,effective_from,effective_to,known_at\n")
	row := func(m market, price string, from, to, known int64) {
		out.line(d, fmt.Appendf(nil, "%s,%s,%s,%s,%s,%s,%d,%s,%s\n", m.provider, m.region, m.sku, m.category, m.currency, price, from, optional(to), optional(known)))
	}
	for _, m := range markets() {
		base := o.Start - hour
		if d.chance(Prices, 30) {
			base = d.instant() // unpriced before
		}
		row(m, pick(d, "3.6", "16.80", "98.32", "0.0000001", "12345.678901234"), base, 0, 0)
		for d.chance(Prices, 60) {
			from := d.instant()
			to := pick(d, 0, 0, from+d.between(-minute, o.Duration))
			row(m, pick(d, "3.6", "7.2", "0", "1e1", "0.000000007"), from, to, pick(d, 0, from-hour, from+hour, base))
		}
		if d.chance(Conflicts, 50) {
			from, known := d.instant(), d.instant()
			row(m, "5", from, 0, known)
			m.currency = pick(d, m.currency, "CHF")
			row(m, pick(d, "5", "5.00", "6"), d.instant(), pick(d, 0, d.instant()), known)
		}
	}
	if d.chance(BadLines, 60) {
		out.line(d, []byte("aws,us-east-1,p5.48xlarge,on_demand,USD,-1,1780275600000,,\n"))
		out.line(d, []byte("aws,us-east-1,p5.48xlarge,on_demand,USD,1\n"))
	}
}

func optional(ms int64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprint(ms)
}

// writeTags makes rules that match some of what there is.
func (o *Options) writeTags(out *writer) {
	d := newDice(o, 4)
	out.header("match,set,effective_from,effective_to,priority\n")
	globs := []string{
		"allocation=slurm/*", "allocation=*1*", "allocation=?*", "user=a*", "user=zo?", "user=???", "name=*train*", "namespace=", "image=*:v?", "node=n0", "node=n?",
		"resource=r*", "provider=aws", "region=*", "sku=dgx", "gpu_model=H100", "label.team=re*", "label.team=*", "label.team=", "label.stage=T*",
	}
	sets := []string{"team=infra", "team=ml", "team=", "project=p1", "project=p2", "cost_center=c1", "environment=prod", "model=llama", "model_version=3", "phase=train"}
	for o.Features&Tags != 0 && d.IntN(10) > 0 {
		match := []string{pick(d, globs...)}
		for d.IntN(3) == 0 {
			match = append(match, pick(d, globs...))
		}
		set := pick(d, sets...)
		if more := pick(d, sets...); strings.SplitN(more, "=", 2)[0] != strings.SplitN(set, "=", 2)[0] {
			set += ";" + more
		}
		from := pick(d, o.Start-hour, d.instant())
		to := pick(d, "", "", fmt.Sprint(d.instant()))
		out.line(d, fmt.Appendf(nil, "%s,%s,%d,%s,%s\n", strings.Join(match, ";"), set, from, to, pick(d, "", "", "0", "1", "-1", "7")))
	}
	if d.chance(BadLines, 60) {
		out.line(d, []byte("colour=red,team=x,1780275600000,,\n"))
		out.line(d, []byte("node=n0,team=x,1780275600000,,high\n"))
	}
}
