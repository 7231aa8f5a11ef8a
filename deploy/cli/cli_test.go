package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/deploy/verify"
	"github.com/gpumeter/gpumeter/schemas"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// run is the command line with what it printed.
func run(t *testing.T, stdin string, args ...string) (stdout string, err error) {
	t.Helper()
	root := Root()
	var out bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

// Every command's help says what it does, shows how, and lists its keys.
func TestHelpTeaches(t *testing.T) {
	for _, c := range Root().Commands() {
		out, err := run(t, "", c.Name(), "--help")
		if err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
		for _, part := range []string{"Examples:", "gpumeter " + c.Name(), "--config FILE", "--set KEY=VALUE", "Configuration keys"} {
			if !strings.Contains(out, part) {
				t.Errorf("%s --help does not say %q", c.Name(), part)
			}
		}
		for _, line := range strings.Split(out, "\n") {
			if _, keys, found := strings.Cut(line, "Configuration keys"); found && keys == "" {
				t.Errorf("%s: no keys", c.Name())
			}
		}
	}
}

// Every example of a help parses: its flags and keys exist.
func TestExamplesAreReal(t *testing.T) {
	root := Root()
	for _, c := range append(root.Commands(), root) {
		for _, example := range strings.Split(c.Example, "\n") {
			words := strings.Fields(example)
			if len(words) < 2 || words[0] != "gpumeter" {
				continue
			}
			named, rest, err := root.Find(words[1:])
			if err != nil || named == root {
				t.Errorf("%s: no such command: %v", example, err)
				continue
			}
			for _, word := range rest {
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag && flag(named, name) == nil {
					t.Errorf("%s: no flag %s", example, word)
				}
			}
		}
	}
}

func flag(c *cobra.Command, name string) any {
	if f := c.Flags().Lookup(name); f != nil {
		return f
	}
	return nil
}

func TestMistakesAreExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("idle:\n  epsilonn: 0.05\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"replay"}, "one directory is wanted"},
		{[]string{"replay", "a", "b"}, "not 2 arguments"},
		{[]string{"replay", t.TempDir()}, "name a directory with --data"},
		{[]string{"replay", file, "--data", t.TempDir()}, "is a file"},
		{[]string{"replay", t.TempDir(), "--data", t.TempDir(), "--until", "soon"}, "neither RFC 3339"},
		{[]string{"replay", t.TempDir(), "--data", t.TempDir(), "--set", "idle.epsilonn=1"}, `did you mean "idle.epsilon"`},
		{[]string{"replay", t.TempDir(), "--data", t.TempDir(), "--config", file}, "file:2"},
		{[]string{"query", "--data", t.TempDir()}, "one SQL is wanted"},
		{[]string{"query", "SELECT 1"}, "--data"},
		{[]string{"query", "--data", t.TempDir(), "SELECT 1"}, "holds no ledger"},
		{[]string{"query", "--clickhouse", "clickhouse://host:9000", "SELECT 1"}, "http://"},
		{[]string{"verify", "--data", t.TempDir(), "--input", file}, "is a file"},
		{[]string{"generate", t.TempDir(), "--set", "features=dragons"}, "no feature dragons"},
		{[]string{"generate", t.TempDir(), "--seed", "-1"}, "seed"},
		{[]string{"topics", "--set", "partitions=0"}, "partitions"},
		{[]string{"serve"}, "--data"},
		{[]string{"demo", "--speed", "0.5"}, "speed: 0.5 is not from 1"},
		{[]string{"demo", "--gpus", "12"}, "multiple of 8"},
		{[]string{"demo", "--for", "soon"}, "for"},
		{[]string{"demo", "--input", file}, "is a file"},
		{[]string{"demo", "--slack-webhook-file", "https://hooks.slack.com/services/T0/B0/x"}, "holds the secret itself"},
		{[]string{"forecast"}, "unknown command"},
	} {
		if _, err := run(t, "", test.args...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
}

func TestTopicsArePrintedWithoutBrokers(t *testing.T) {
	out, err := run(t, "", "topics", "--set", "partitions=3")
	if err != nil || !strings.Contains(out, "gpumeter.samples") || !strings.Contains(out, "gpumeter.ticks") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range strings.Split(out, "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "gpumeter.cost" && fields[1] != "3" {
			t.Errorf("%s", line)
		}
	}
}

func TestRightsArePrintedAsTableAndCommands(t *testing.T) {
	out, err := run(t, "", "topics", "--acls")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"processor  User:gpumeter-processor  Read on topic gpumeter.samples",
		"kafka-acls.sh --bootstrap-server BROKER --add --allow-principal 'User:gpumeter-processor' --operation Write --transactional-id gpumeter-processor- --resource-pattern-type prefixed",
		"kafka-acls.sh --bootstrap-server BROKER --add --allow-principal 'User:gpumeter-sink' --operation Read --group gpumeter-sink",
		"kafka-acls.sh --bootstrap-server BROKER --add --allow-principal 'User:gpumeter-collector' --operation DescribeConfigs --topic gpumeter.prices",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
}

// What is missing and what differs is told, and nothing is made.
func TestDryRunComparesTopics(t *testing.T) {
	data, all := t.TempDir(), len(schemas.Streams())
	for range 2 {
		out, err := run(t, "", "topics", "--data", data, "--dry-run")
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d of %d topics are missing", all, all)) || !strings.Contains(out, "missing") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if _, err := run(t, "", "topics", "--data", data); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "", "topics", "--data", data, "--dry-run"); err != nil || strings.Count(out, "fine") != all {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFromEventsToVerifiedLedger is the way of the README.
func TestFromEventsToVerifiedLedger(t *testing.T) {
	events, data := filepath.Join(t.TempDir(), "events"), filepath.Join(t.TempDir(), "ledger")
	must := func(args ...string) string {
		t.Helper()
		out, err := run(t, "SELECT count() FROM gpumeter.cost", args...)
		if errors.Is(err, chdb.ErrUnavailable) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return out
	}
	if out := must("generate", events, "--seed", "2", "--set", "duration=20m"); !strings.Contains(out, "samples.ndjson") {
		t.Errorf("generate: %s", out)
	}
	var summary struct{ Totals struct{ Rows json.Number } }
	if err := json.Unmarshal([]byte(must("replay", events, "--data", data, "--set", "idle.epsilon=0.4", "--json")), &summary); err != nil {
		t.Fatal(err)
	}
	if out := must("query", "--data", data, "--format", "TSV", "-"); strings.TrimSpace(out) != summary.Totals.Rows.String() {
		t.Errorf("query counts %q rows, the summary %s", out, summary.Totals.Rows)
	}
	var report verify.Report
	if err := json.Unmarshal([]byte(must("verify", "--data", data, "--input", events, "--json")), &report); err != nil || !report.OK() || len(report.Checks) < 4 {
		t.Errorf("verify: %+v, %v", report, err)
	}
	out, err := run(t, "", "verify", "--data", data, "--input", events, "--set", "idle.epsilon=0.9")
	if !errors.Is(err, ErrBroken) || !strings.Contains(out, "first broken") {
		t.Errorf("verify by another rule: %v\n%s", err, out)
	}
	if out := must("migrate", "--data", data); !strings.Contains(out, "version") {
		t.Errorf("migrate: %s", out)
	}
	if out := must("topics", "--data", data); !strings.Contains(out, "gpumeter.cost") {
		t.Errorf("topics: %s", out)
	}
}

func TestVerifyJudgesByTheLatestReplay(t *testing.T) {
	data := t.TempDir()
	now := time.UnixMilli(1_782_777_600_000)
	c := verifyConfig{Data: data}
	opt, err := c.options(now)
	if err != nil || opt.Horizon != nil || opt.Oracle.Until != nil || opt.Oracle.Now != now.UnixMilli() {
		t.Errorf("nothing known: %+v, %v", opt, err)
	}
	for _, named := range []bool{false, true} {
		if err := settings.KeepLast(data, settings.Last{Horizon: 5000, Named: named, At: 7000}); err != nil {
			t.Fatal(err)
		}
		opt, err := c.options(now)
		if err != nil || *opt.Horizon != 5000 || opt.Oracle.Now != 7000 || (opt.Oracle.Until != nil) != named {
			t.Errorf("named %v: %+v, %v", named, opt, err)
		}
	}
	c.Until = 6000
	if opt, err := c.options(now); err != nil || *opt.Oracle.Until != 6000 || *opt.Horizon != 6000 {
		t.Errorf("--until: %+v, %v", opt, err)
	}
}
