package property

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// awkward are values that some field takes and others must refuse.
func awkward() []string {
	return []string{
		`null`, `true`, `false`, `0`, `-0`, `-0.0`, `1`, `1.0`, `1.0000001`, `0.9999999`, `0.0000004`, `0.0000005`, `1.5`, `-1`, `-0.4`, `1e0`, `10e-1`, `1E2`,
		`1e400`, `1e-400`, `-1e-400`, `0e999999999999`, `1e-999999999999`, `01`, `.5`, `5.`, `+1`, `1_0`, `0x1`, `NaN`,
		`32767.4`, `32767.5`, `-32768`, `4294967294`, `4294967295`, `4294967.2944`, `9223372036854775806`, `9223372036854775807`, `9223372036854775808`, `18446744073709551616`,
		`1780275600000`, `1780275600000.9`, `1.7802756e12`, `253402300799999`, `253402300800000`, `1262303999999`, `1262304000000`, `4102444800000`,
		`""`, `"a"`, `"1"`, `"0.5"`, `" "`, `"x\ty"`, "\"x\ty\"", `"\u00e9"`, `"\ud83d\ude00"`, `"\ud800"`, `"\udc00\ud800"`, `"\q"`, `"\u12"`, "\"\xff\"",
		`"2026-06-01T01:00:00Z"`, `"2026-06-01T01:00:00.123456789+02:00"`, `"2026-06-01T01:00:00"`, `"2026-06-01 01:00:00Z"`, `"2026-06-01T01:00:00,5Z"`, `"2026-02-30T00:00:00Z"`, `"1780275600000"`,
		`"start"`, `"pause"`, `"completed"`, `"on_demand"`, `"free"`,
		`[]`, `[null]`, `["a"]`, `["a","a"]`, `["a","b",""]`, `[1]`, `[{}]`, `{}`, `{"a":null}`, `{"a":1.50,"b":true,"c":"d"}`, `{"a":[]}`, `{"gpus":1,"walltime_seconds":-1}`, `{"gpus":1.4}`,
		`[{"node":"n","gpu":"g"}]`, `[{"node":"n","gpu":"g","share":1.5}]`, `[{"node":"n","gpu":"g","share":0.0000005}]`, `[{"node":"n","gpu":"g","slice":"m"}]`, `[{"node":"n","gpu":"g","slice":"m","share":1}]`, `[{"node":"","gpu":"g"}]`,
	}
}

// A file's name, a good line of it, and the fields that lines can have.
type lineOf struct{ name, good, fields string }

func objects() []lineOf {
	return []lineOf{
		{
			"samples.ndjson", `"ts":1780275600000,"node":"n","gpu":"g"`,
			"ts node gpu slice gpu_model interval_seconds utilization sm_active tensor_active dram_active memory_used_bytes memory_total_bytes power_watts energy_joules temperature_celsius unheard_of",
		},
		{"processes.ndjson", `"ts":1780275600000,"node":"n","gpu":"g","pid":1`, "ts node gpu slice pid allocation sm_utilization memory_used_bytes"},
		{
			"allocations.ndjson", `"ts":1780275600000,"event":"start","allocation":"a"`,
			"ts event allocation gpus user name namespace image command labels requested submitted_at state",
		},
		{
			"resources.ndjson", `"node":"n","resource":"r","provider":"p","gpus":["g"],"from":1780275600000`,
			"node resource cluster provider region sku gpu_model gpus from to pricing_category scheduler idle_watts",
		},
	}
}

// Oracle and contract read lines with code of their own. What one accepts the
// other must, or their ledgers differ for a reason that no rule gives.
func TestOracleRefusesWhatTheContractRefuses(t *testing.T) {
	for _, o := range objects() {
		dir := t.TempDir()
		for _, field := range strings.Fields(o.fields) {
			for _, value := range awkward() {
				sameVerdict(t, dir, o.name, `{`+o.good+`,"`+field+`":`+value+`}`)
			}
		}
		for _, line := range []string{
			`{` + o.good + `}`, `{` + o.good + `} `, ` {` + o.good + ` } `, `{` + o.good + `,}`, `{` + o.good, `[{` + o.good + `}]`, `{` + o.good + `}{}`, `null`, `1`, `{}`, `""`, "\x00", `{"a":` + strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20) + `,` + o.good + `}`,
		} {
			sameVerdict(t, dir, o.name, line)
		}
	}
}

func TestOracleRefusesTheRowsThatTheContractRefuses(t *testing.T) {
	for _, c := range []struct{ name, header, good string }{
		{"prices.csv", "provider,region,sku,pricing_category,currency,price_per_hour,effective_from,effective_to,known_at", "aws,r,x,spot,USD,3.6,1780275600000,,"},
		{"tags.csv", "match,set,effective_from,effective_to,priority", "node=n,team=t,1780275600000,,"},
	} {
		dir, cells := t.TempDir(), strings.Split(c.good, ",")
		values := append(awkward(), "", " 1780275600000 ", "2026-06-01T01:00:00Z", "node=", "=n", "node", "label.=x", "label.a=x", "colour=x", "node=n;node=m", "team=a;team=b", "team=", "a\"b", `"a,b"`, "-7", "7.0", "7.5", "owned")
		for i := range cells {
			for _, v := range values {
				changed := append([]string{}, cells...)
				changed[i] = v
				sameVerdict(t, dir, c.name, c.header+"\n"+strings.Join(changed, ","))
			}
		}
		for _, text := range []string{c.header, c.good, c.header + "\n" + c.good + ",", c.header + "," + "more\n" + c.good + ",x", c.header + ",match,set\n" + c.good, "\ufeff" + c.header + "\r\n" + c.good + "\r", c.good + "\n" + c.header + "\n" + c.good} {
			sameVerdict(t, dir, c.name, text)
		}
	}
}

// sameVerdict reads a file of a few lines both ways and compares how many lines
// are refused.
func sameVerdict(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ledger, err := oracle.Recompute(dir, oracle.Defaults(now))
	if err != nil {
		t.Fatal(err)
	}
	refused, why := refusedByContract(t, name, text+"\n")
	if got := ledger.Refused[name]; got != refused {
		t.Errorf("%s: the oracle refuses %d lines, the contract and rule 1 %d (%v) of\n%s", name, got, refused, why, text)
	}
}

func refusedByContract(t *testing.T, name, text string) (n int, why error) {
	t.Helper()
	for _, file := range contract.Files() {
		if file.Name != name {
			continue
		}
		r := contract.NewReader(file, strings.NewReader(text))
		for {
			err := r.Next()
			if errors.Is(err, io.EOF) {
				return n, why
			}
			ts, isEvent := map[string]int64{"samples": r.Sample.TS, "processes": r.Process.TS, "allocations": r.Allocation.TS}[file.Stream]
			switch {
			case err != nil:
				n, why = n+1, err
			case isEvent && (ts < 1_262_304_000_000 || ts > now+600_000):
				n, why = n+1, errors.New("rule 1")
			}
		}
	}
	t.Fatalf("no file %s", name)
	return 0, nil
}
