package slack

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/notify"
)

func TestMain(m *testing.M) {
	flag.Bool("rewrite", false, "write the golden files anew")
	flag.Parse()
	goleak.VerifyTestMain(m)
}

func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

const (
	minute = int64(60_000)
	start  = int64(1_780_275_600_000) // 2026-06-01 01:00 UTC
)

func idle(n int) schemas.Finding {
	return schemas.Finding{
		Finding: fmt.Sprintf("idle/slurm/%d/%d", n, start+5*minute), Revision: 2, Kind: schemas.KindIdle, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
		OpenedAt: start + 5*minute, ThresholdAt: start + 30*minute, UpdatedAt: start + 75*minute, Allocation: fmt.Sprintf("slurm/%d", n), Node: "gpu-node-17",
		GPUs: []string{"GPU-1", "GPU-2", "GPU-3", "GPU-4", "GPU-5", "GPU-6/3"}, User: "ada", Team: "nlp", Name: "pretrain-7b",
		BurntCost: 41_204_999_999 * int64(n) / 100, CostPerHour: 32_770_000_000, Currency: "USD",
		Evidence: []schemas.Label{
			{Key: "active_percent", Value: "0.40"},
			{Key: "idle_since", Value: "2026-06-01T01:00:00.000Z"},
			{Key: "measured_minutes", Value: "30"},
			{Key: "memory_held", Value: "yes"},
			{Key: "memory_used_bytes", Value: "83751862272"},
			{Key: "phase", Value: "training"},
			{Key: "zone", Value: "b"},
		},
		Advice: "It holds 78 GiB and does nothing: cancel it with scancel 100, or ask ada.",
	}
}

func ended(f schemas.Finding) schemas.Finding {
	f.Status, f.ResolvedAt = schemas.StatusResolved, start+100*minute
	f.UpdatedAt, f.Revision = f.ResolvedAt, f.Revision+1
	return f
}

func dashboard(t testing.TB) Link {
	t.Helper()
	l, err := ParseLink("https://grafana.example/d/gpumeter?var-allocation={allocation}&from={from}&to={to}")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func messages() map[string]notify.Message {
	unpriced := idle(100)
	unpriced.Currency, unpriced.BurntCost, unpriced.CostPerHour = "", 0, 0
	bare := schemas.Finding{Finding: "x", Kind: "odd", Severity: schemas.SeverityAlert, Status: schemas.StatusOpen, OpenedAt: start, UpdatedAt: start}
	var many []schemas.Finding
	for n := 60; n > 0; n-- {
		many = append(many, idle(n))
	}
	many[1] = ended(many[1])
	many[58].Currency = "EUR"
	many[59] = unpriced
	alert := func(f ...schemas.Finding) notify.Message {
		return notify.Message{ID: "m", What: schemas.NoticeAlert, Findings: f}
	}
	over := func(f ...schemas.Finding) notify.Message {
		return notify.Message{ID: "m", What: schemas.NoticeResolved, Findings: f}
	}
	again := alert(idle(100))
	again.MayRepeat = true
	refused := alert(idle(100))
	refused.Plain = true
	return map[string]notify.Message{
		"alert": alert(idle(100)), "over": over(ended(idle(100))), "late": alert(ended(idle(100))), "unpriced": alert(unpriced), "bare": alert(bare),
		"digest": alert(many...), "ends": over(ended(idle(3)), ended(idle(2))), "again": again, "plain": refused, "hostile": alert(hostile()),
	}
}

// hostile is what somebody may call a job.
func hostile() schemas.Finding {
	f := idle(100)
	f.User, f.Team = "<!channel> @here", "a&b <@U123>"
	f.Name = "x`\n*USD 0.00 burnt* <https://evil.example|click>\x1b[31m"
	f.Allocation, f.Node = "a`b`<!everyone>", "n\u202eedon\u200b @everyone"
	f.GPUs = []string{"<!here>"}
	f.Advice = "do\nnothing @Channel <mailto:a@b>" + strings.Repeat(" and wait", 500)
	f.Evidence = []schemas.Label{{Key: "<!channel>", Value: "@channel"}, {Key: "idle_since", Value: "never"}}
	return f
}

func TestGoldenMessages(t *testing.T) {
	for name, m := range messages() {
		said := Render(m, dashboard(t))
		blocks, err := json.MarshalIndent(said.Blocks, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		unescaped := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(blocks))
		got := "text\n" + said.Text + "\n\nblocks\n" + unescaped + "\n\nterminal\n" + Text(m, dashboard(t))
		path := filepath.Join("testdata", name+".txt")
		if rewriting() {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != got {
			t.Errorf("%s: the message changed: run go test -rewrite if that is meant. It is\n%s", path, got)
		}
	}
}

// Nothing that anybody wrote mentions somebody, links anywhere or moves the
// cursor, and the message fits Slack's limits, whatever the names are.
func TestNamesAreHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"<!channel>", "@here", "<@U1>", "`", "&lt;!channel&gt;", "<https://x|y>", "\x1b[2J", strings.Repeat("<", 4000)}))
		f := idle(100)
		f.User, f.Team, f.Name = text.Draw(t, "user"), text.Draw(t, "team"), text.Draw(t, "name")
		f.Allocation, f.Node, f.Advice = text.Draw(t, "allocation"), text.Draw(t, "node"), text.Draw(t, "advice")
		f.Kind, f.Currency, f.GPUs = text.Draw(t, "kind"), text.Draw(t, "currency"), rapid.SliceOfN(text, 0, 12).Draw(t, "gpus")
		f.Evidence = []schemas.Label{{Key: text.Draw(t, "key"), Value: text.Draw(t, "value")}}
		m := notify.Message{What: schemas.NoticeAlert, Findings: []schemas.Finding{f}}
		for len(m.Findings) < rapid.IntRange(1, 30).Draw(t, "alerts") {
			m.Findings = append(m.Findings, f)
		}
		said := Render(m, Link{})
		blocks, err := json.Marshal(said.Blocks)
		if err != nil {
			t.Fatal(err)
		}
		var all any
		if err := json.Unmarshal(blocks, &all); err != nil {
			t.Fatal(err)
		}
		every := append(texts(all), said.Text)
		for _, s := range every {
			if strings.ContainsAny(s, "<>\x1b") || strings.Contains(strings.ToLower(s), "@channel") || strings.Contains(strings.ToLower(s), "@here") || strings.Count(s, "`")%2 != 0 {
				t.Fatalf("not harmless: %q", s)
			}
			if len([]rune(s)) > 3000 || s == "" {
				t.Fatalf("a text of %d characters", len([]rune(s)))
			}
		}
		if shown := Text(m, Link{}); strings.ContainsAny(shown, "\x1b\r\x00") || strings.Count(shown, "\n") > 30 {
			t.Fatalf("in a terminal: %q", shown)
		}
	})
}

// texts gives the texts in blocks.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	case map[string]any:
		if s, ok := v["text"].(string); ok {
			out = append(out, s)
		}
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	}
	return out
}

func TestAmounts(t *testing.T) {
	for nano, want := range map[int64]string{
		0: "USD 0.00", 1: "USD 0.000000001", 994: "USD 0.00000099", 999: "USD 0.000001", 1_234_567: "USD 0.0012", 9_999_999: "USD 0.01", 10_000_000: "USD 0.01",
		14_999_999: "USD 0.01", 15_000_000: "USD 0.02", 999_995_000_000: "USD 1,000.00", 1_234_567_890_000_000: "USD 1,234,567.89",
		-16_805_000_000: "USD -16.81", -1_000: "USD -0.000001", 9_223_372_036_854_775_807: "USD 9,223,372,036.85",
	} {
		if got := amount(nano, "USD"); got != want {
			t.Errorf("%d is %s, want %s", nano, got, want)
		}
	}
	if got := amount(5, ""); got != "what has no price" {
		t.Errorf("unpriced: %s", got)
	}
}

func TestSpans(t *testing.T) {
	for ms, want := range map[int64]string{
		-1: "0 s", 35_900: "35 s", 60_000: "1 min", 47*minute + 59_999: "47 min", 60 * minute: "1 h", 75 * minute: "1 h 15 min",
		24 * 60 * minute: "1 d", 51 * 60 * minute: "2 d 3 h", 24*60*minute + 59*minute: "1 d",
	} {
		if got := span(ms); got != want {
			t.Errorf("%d ms is %s, want %s", ms, got, want)
		}
	}
}

func TestLinks(t *testing.T) {
	f := idle(100)
	f.Allocation = "a/b c&d=<x>|@here"
	got := dashboard(t).URL(&f)
	want := "https://grafana.example/d/gpumeter?var-allocation=a%2Fb+c%26d%3D%3Cx%3E%7C%40here&from=1780274700000&to=now"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	over := ended(f)
	if got := dashboard(t).URL(&over); !strings.HasSuffix(got, "&to=1780282500000") {
		t.Errorf("of one that is over: %s", got)
	}
	for _, bad := range []string{"grafana/d", "javascript:alert(1)", "https://g/{alocation}", "https://g/<x>", "https://g/a|b", "https://"} {
		if _, err := ParseLink(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("ada", "<!channel>", int64(1), int64(-1))
	f.Fuzz(func(t *testing.T, name, advice string, cost, at int64) {
		finding := idle(1)
		finding.User, finding.Name, finding.Allocation, finding.Advice = name, name, name, advice
		finding.BurntCost, finding.CostPerHour, finding.UpdatedAt, finding.OpenedAt = cost, cost, at, -at
		for _, m := range []notify.Message{{What: schemas.NoticeAlert, Findings: []schemas.Finding{finding}}, {What: schemas.NoticeResolved, Findings: []schemas.Finding{finding, ended(finding)}}} {
			if said := Render(m, dashboard(t)); said.Text == "" || strings.Contains(said.Text, "<!") {
				t.Fatalf("%q", said.Text)
			}
		}
	})
}
