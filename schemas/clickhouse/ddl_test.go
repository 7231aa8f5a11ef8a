package clickhouse

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestMigrationFollowsTheDeclarations(t *testing.T) {
	text, err := migrationFiles.ReadFile("migrations/0001_ledger.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "\n\n")
	if body != DDL() {
		t.Error("the declarations changed: run go generate in schemas/clickhouse (once released: write the next migration)")
	}
}

// The columns that issue 3 promises, in its order.
const promised = `cluster, window_start, window_end, node, resource, provider, region, sku, gpu, slice, gpu_model, allocation, user, name,
	namespace, team, project, cost_center, environment, model, model_version, phase, labels, state, attribution, gpu_ms, used_gpu_ms,
	utilization_avg, sm_active_avg, memory_used_max_bytes, energy_joules, currency, list_cost, effective_cost, used_cost, waste_cost,
	price_id, price_status, finality, revision, first_reported_at, known_at`

func TestCostHasThePromisedColumns(t *testing.T) {
	want := regexp.MustCompile(`,\s*`).Split(promised, -1)
	cost := names(costView().Columns)
	if got := cost[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("cost has\n%v, promised\n%v", got, want)
	}
	history := names(costHistoryView().Columns)
	if !slices.Equal(history[:len(want)], want) || history[len(want)] != "retracted" {
		t.Errorf("cost_history has %v", history)
	}
}

func TestEveryColumnSaysWhatItMeans(t *testing.T) {
	for _, table := range Tables() {
		for _, c := range table.Columns {
			if c.Doc == "" {
				t.Errorf("%s.%s has no comment", table.Name, c.Name)
			}
		}
	}
	for _, v := range Views() {
		for _, c := range v.Columns {
			if c.Doc == "" || c.Type == "" {
				t.Errorf("%s.%s has no comment or type: %+v", v.Name, c.Name, c)
			}
			if strings.Contains(c.Doc, "[ppm]") || strings.Contains(c.Doc, "[mW]") || strings.Contains(c.Doc, "[nano]") {
				t.Errorf("%s.%s shows people a unit of the wire: %s", v.Name, c.Name, c.Doc)
			}
		}
	}
}

func TestEveryStatementMayRunTwice(t *testing.T) {
	all, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		for _, s := range m.statements {
			code := regexp.MustCompile(`(?m)^--.*\n`).ReplaceAllString(s, "")
			if !regexp.MustCompile(`^\s*CREATE \w+( VIEW)? IF NOT EXISTS|^\s*CREATE OR REPLACE|^\s*ALTER TABLE .* IF (NOT )?EXISTS`).MatchString(code) {
				t.Errorf("%s: not idempotent: %.60s", m.name, code)
			}
		}
	}
}

func TestStatementsAreCutAtLineEndsOnly(t *testing.T) {
	got := statements("A 'x; y';\n\nB\n;\n")
	if want := []string{"A 'x; y'", "B"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLiteralIsEscaped(t *testing.T) {
	if got, want := literal(`it's a \`), `'it\'s a \\'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPasswordComesFromWhereItIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from/file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET_OF_TEST", "from@env")
	for dsn, want := range map[string]string{
		"clickhouse://u:plain@h:9000":                             "plain",
		"clickhouse://u@h:9000?password_file=" + file:             "from/file",
		"http://u@h:8123?password_env=SECRET_OF_TEST":             "from@env",
		"clickhouse://u:loses@h:9000?password_env=SECRET_OF_TEST": "from@env",
	} {
		o, err := ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if o.Auth.Password != want || o.Auth.Username != "u" {
			t.Errorf("%s: %+v, want password %s", dsn, o.Auth, want)
		}
	}
}

func TestHTTPURLHoldsThePasswordThatIsNamed(t *testing.T) {
	t.Setenv("SECRET_OF_TEST", "from@env")
	for dsn, want := range map[string]string{
		"http://u@h:8123?password_env=SECRET_OF_TEST&compress=true": "http://u:from%40env@h:8123?compress=true",
		"https://h:8443":                         "https://h:8443",
		"clickhouse://u@h:9000?password_env=NOT": "",
	} {
		u, err := HTTPURL(dsn)
		if err != nil || (u == nil) != (want == "") || u != nil && u.String() != want {
			t.Errorf("%s: %v, %v, want %s", dsn, u, err, want)
		}
	}
	if _, err := HTTPURL("http://u@h:8123?password_env=NOT_SET_AT"); err == nil {
		t.Error("a password that is not there is no error")
	}
}

func TestLedgersOwnDatabaseIsNotNeededToConnect(t *testing.T) {
	for path, want := range map[string]string{"/gpumeter": "", "/other": "other", "": ""} {
		o, err := ParseDSN("clickhouse://h:9000" + path)
		if err != nil {
			t.Fatal(err)
		}
		if o.Auth.Database != want {
			t.Errorf("%q connects to database %q, want %q", path, o.Auth.Database, want)
		}
	}
}

func TestBadConnectionStringsNameTheFix(t *testing.T) {
	for dsn, want := range map[string]string{
		"mysql://h":                              "scheme",
		"clickhouse://u:p%zz@h":                  "write clickhouse://",
		"clickhouse://h?password_file=/nowhere":  "/nowhere",
		"clickhouse://h?password_env=NOT_SET_AT": "NOT_SET_AT is not set",
		"clickhouse://h?password=topsecret":      "parameter password",
		"http://h?PASSWORD=topsecret":            "parameter PASSWORD",
	} {
		_, err := ParseDSN(dsn)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
	}
	_, err := ParseDSN("clickhouse://u:topsecret@h:9000?dial_timeout=soon")
	if err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("the error %v is missing or holds the password", err)
	}
	if errors.Is(err, ErrNewer) {
		t.Error("a bad parameter is taken for a newer database")
	}
}
