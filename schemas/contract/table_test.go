package contract_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

const (
	priceHeader = "provider,region,sku,pricing_category,currency,price_per_hour,effective_from,effective_to,known_at"
	tagHeader   = "match,set,effective_from,effective_to,priority"
)

func table(t *testing.T, stream, header string) *contract.Table {
	t.Helper()
	tab, err := contract.NewTable(stream, []byte(header))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestPrice(t *testing.T) {
	full := schemas.Price{
		Provider: "aws", Region: "us-east-1", SKU: "x", PricingCategory: "on_demand", Currency: "USD",
		PerHour: 3_600_000_000, From: at, To: at + 3_600_000, KnownAt: at + 60_000,
	}
	open := full
	open.To, open.KnownAt = 0, 0
	for _, c := range []struct {
		name, header, row string
		want              schemas.Price
	}{
		{"all", priceHeader, "aws,us-east-1,x,on_demand,USD,3.6,1780275600000,2026-06-01T02:00:00Z,2026-06-01T01:01:00Z", full},
		{"open and known at once", priceHeader, "aws,us-east-1,x,on_demand,USD,3.6,2026-06-01T01:00:00Z,,", open},
		{
			"columns in any order, some left out", "currency,effective_from,price_per_hour,sku,region,provider,pricing_category",
			"USD,1780275600000,3.60,x,us-east-1,aws,on_demand", open,
		},
		{
			"quotes, spaces around numbers", `"provider", region ,sku,pricing_category,currency,price_per_hour,effective_from`,
			`aws,us-east-1,"x",on_demand,USD, 3.6 , 1780275600000 `, open,
		},
		{"half up to nano-units", priceHeader, "aws,us-east-1,x,on_demand,USD,3.5999999995,1780275600000,,", open},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got schemas.Price
			if err := table(t, schemas.StreamPrices, c.header).Price([]byte(c.row), &got); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPriceRefuses(t *testing.T) {
	for _, c := range []struct{ row, reason, field string }{
		{"aws,r,x,on_demand,USD,-3.6,1,,", schemas.ReasonBadNumber, "price_per_hour"},
		{"aws,r,x,on_demand,USD,,1,,", schemas.ReasonBadNumber, "price_per_hour"},
		{"aws,r,x,on_demand,USD,cheap,1,,", schemas.ReasonBadNumber, "price_per_hour"},
		{`aws,r,x,on_demand,USD,"3,60",1,,`, schemas.ReasonBadNumber, "price_per_hour"},
		{"aws,r,x,on_demand,USD,1000000000,1,,", schemas.ReasonBadNumber, "price_per_hour"}, // more than Decimal(18, 9)
		{"aws,r,x,free,USD,1,1,,", schemas.ReasonBadField, "pricing_category"},
		{"aws,r,x,,USD,1,1,,", schemas.ReasonBadField, "pricing_category"},
		{"aws,r,x,spot,,1,1,,", schemas.ReasonBadField, "currency"},
		{",r,x,spot,USD,1,1,,", schemas.ReasonBadField, "provider"},
		{"aws,r,x,spot,USD,1,,,", schemas.ReasonBadTime, "effective_from"},
		{"aws,r,x,spot,USD,1,soon,,", schemas.ReasonBadTime, "effective_from"},
		{"aws,r,x,spot,USD,1,1,0,", schemas.ReasonBadTime, "effective_to"},
		{"aws,r,x,spot,USD,1,1,,-5", schemas.ReasonBadTime, "known_at"},
		{"aws,r,x,spot,USD,1,1", schemas.ReasonBadRow, ""},
		{"aws,r,x,spot,USD,1,1,,,", schemas.ReasonBadRow, ""},
		{`aws,"r,x,spot,USD,1,1,,`, schemas.ReasonBadRow, ""},
		{"aws,r\xff,x,spot,USD,1,1,,", schemas.ReasonBadRow, ""},
	} {
		var r schemas.Price
		refused(t, table(t, schemas.StreamPrices, priceHeader).Price([]byte(c.row), &r), c.reason, c.field)
	}
}

func TestTag(t *testing.T) {
	tab := table(t, schemas.StreamTags, tagHeader)
	var got schemas.Tag
	err := tab.Tag([]byte("allocation=slurm/*;label.exp=a=b,team=green;project=,1780275600000,,-5"), &got)
	want := schemas.Tag{Match: "allocation=slurm/*;label.exp=a=b", Set: "team=green;project=", From: at, Priority: -5}
	if err != nil || got != want {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	for _, c := range []struct{ row, reason, field string }{
		{"queue=a,team=x,1,,", schemas.ReasonBadField, "match"},
		{"label.=a,team=x,1,,", schemas.ReasonBadField, "match"},
		{",team=x,1,,", schemas.ReasonBadField, "match"},
		{"user=a;,team=x,1,,", schemas.ReasonBadField, "match"},
		{"user,team=x,1,,", schemas.ReasonBadField, "match"},
		{"user=a,owner=x,1,,", schemas.ReasonBadField, "set"},
		{"user=a,,1,,", schemas.ReasonBadField, "set"},
		{"user=a,team=x;team=y,1,,", schemas.ReasonBadField, "set"},
		{"user=a,team=x,,,", schemas.ReasonBadTime, "effective_from"},
		{"user=a,team=x,1,,high", schemas.ReasonBadNumber, "priority"},
		{"user=a,team=x,1,,1.5", schemas.ReasonBadNumber, "priority"},
	} {
		refused(t, tab.Tag([]byte(c.row), &got), c.reason, c.field)
	}
}

func TestPairs(t *testing.T) {
	got, ok := contract.Pairs("a=b;c=d=e;f=")
	want := []contract.Pair{{Key: "a", Value: "b"}, {Key: "c", Value: "d=e"}, {Key: "f", Value: ""}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v (%v), want %v", got, ok, want)
	}
}

func TestHeader(t *testing.T) {
	tab := table(t, schemas.StreamTags, "match,set,effective_from,owner,note")
	if got := strings.Join(tab.Unknown(), " "); got != "owner note" {
		t.Errorf("unknown columns %q, want owner and note", got)
	}
	for _, c := range []struct{ header, field string }{
		{"match,set", "effective_from"},
		{"match,set,effective_from,set", "set"},
		{"user=a,team=x,1,0,5", "effective_from"}, // a row where the header should be
	} {
		_, err := contract.NewTable(schemas.StreamTags, []byte(c.header))
		refused(t, err, schemas.ReasonBadRow, c.field)
	}
	if _, err := contract.NewTable(schemas.StreamSamples, []byte("ts")); err == nil {
		t.Error("samples are not a table")
	}
}
