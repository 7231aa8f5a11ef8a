package compose

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// secrets runs secrets.sh in a copy of its folder and returns the folder that it
// makes.
func secrets(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile("secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "secrets.sh")
	if err := os.WriteFile(script, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("sh", script).CombinedOutput(); err == nil || !strings.Contains(string(out), "there already") {
		t.Errorf("made again, over those that are in use: %s", out)
	}
	return filepath.Join(dir, "secrets")
}

// Every secret that a service asks for is one that the script makes, or Slack's,
// which a person has; the files are for containers, the folder is for nobody else.
func TestSecretsAreMade(t *testing.T) {
	dir := secrets(t)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open: %v, %v", info.Mode(), err)
	}
	project := load(t, "compose.yaml", "slack.yaml")
	for name, secret := range project.Secrets {
		file := filepath.Base(secret.File)
		if filepath.Base(filepath.Dir(secret.File)) != "secrets" {
			t.Errorf("%s is in %s", name, secret.File)
		}
		info, err := os.Stat(filepath.Join(dir, file))
		if file == "slack_webhook" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		if err != nil || info.Mode().Perm() != 0o444 || info.Size() < 48 {
			t.Errorf("%s: %v", file, err)
		}
	}
	for name, s := range project.Services {
		for _, secret := range s.Secrets {
			if _, ok := project.Secrets[secret.Source]; !ok {
				t.Errorf("%s asks for %s", name, secret.Source)
			}
		}
	}
	if ignored, err := os.ReadFile(".gitignore"); err != nil || !slices.Contains(strings.Fields(string(ignored)), "secrets/") {
		t.Errorf("git would take the secrets: %v", err)
	}
}

// server is an embedded ClickHouse with the users that secrets.sh made; it reads
// config.d beside its configuration. dsn is how one of them reaches it.
func server(t *testing.T) (dsn func(user, passwordOf string) string) {
	t.Helper()
	made, dir := secrets(t), t.TempDir()
	users, err := os.ReadFile(filepath.Join(made, "clickhouse_users.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "config.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.d", "users.xml"), users, 0o600); err != nil {
		t.Fatal(err)
	}
	engine, err := chdb.Start(t.Context(), chdb.Options{Dir: dir})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := engine.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	at, err := url.Parse(engine.DSN())
	if err != nil {
		t.Fatal(err)
	}
	return func(user, passwordOf string) string {
		return "clickhouse://" + user + "@" + at.Host + "/?password_file=" + filepath.Join(made, "clickhouse_"+passwordOf)
	}
}

// The users of ClickHouse can do what they are for and nothing else.
func TestUsersMayDoTheirWorkOnly(t *testing.T) {
	dsn := server(t)
	as := func(dsn, query string) error {
		conn, err := clickhouse.Open(dsn)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if query == "migrate" {
			_, err := clickhouse.Migrate(t.Context(), conn)
			return err
		}
		return conn.Exec(t.Context(), query)
	}
	if err := as(dsn("gpumeter_writer", "grafana"), "SELECT 1"); err == nil {
		t.Error("another's password lets in")
	}
	for _, step := range []struct {
		who, query string
		refused    bool
	}{
		{"gpumeter_migrator", "migrate", false},
		{"gpumeter_migrator", "migrate", false}, // at each start
		{"gpumeter_writer", "INSERT INTO gpumeter.tags_log (`match`, `set`, effective_from, effective_to, priority, appended_at) VALUES ('user=a', 'team=b', 0, 0, 0, 0)", false},
		{"gpumeter_migrator", "CREATE DATABASE other", true},
		{"gpumeter_migrator", "INSERT INTO gpumeter.tags_log (`match`) VALUES ('user=a')", true},
		{"gpumeter_writer", "SELECT * FROM gpumeter.tags", true},
		{"gpumeter_writer", "ALTER TABLE gpumeter.cells ADD COLUMN a String", true},
		{"grafana", "SELECT * FROM gpumeter.tags", false},
		{"grafana", "SELECT count() FROM gpumeter.cost", false},
		{"grafana", "SELECT count() FROM gpumeter.findings", false},
		{"grafana", "INSERT INTO gpumeter.tags_log (`match`) VALUES ('user=a')", true},
		{"grafana", "DROP VIEW gpumeter.tags", true},
		{"gpumeter_migrator", "DROP TABLE gpumeter.cells", true},
		{"gpumeter_writer", "DROP TABLE gpumeter.cells", true},
		{"gpumeter_writer", "TRUNCATE TABLE gpumeter.cells", true},
		{"grafana", "SELECT 1 SETTINGS max_execution_time = 0", true},
		{"grafana", "SELECT 1 SETTINGS max_execution_time = 65", false}, // as clients ask that wait for a minute
		{"grafana", "SELECT * FROM system.users", true},
		{"grafana", "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')", true},
	} {
		if err := as(dsn(step.who, strings.TrimPrefix(step.who, "gpumeter_")), step.query); (err != nil) != step.refused {
			t.Errorf("%s: %s: %v", step.who, step.query, err)
		}
	}
}

// The users are what package clickhouse says, no less and no more; its reader is
// grafana.
func TestUsersAreThoseOfTheSchema(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(secrets(t), "clickhouse_users.xml"))
	if err != nil {
		t.Fatal(err)
	}
	granted := 0
	for _, u := range clickhouse.Users() {
		granted += len(u.Grants)
		name := u.Name
		if name == clickhouse.UserReader {
			name = "grafana"
		}
		_, made, _ := strings.Cut(string(text), "    <"+name+">\n      <password")
		made, _, _ = strings.Cut(made, "</"+name+">")
		for line := range strings.Lines(u.XML("")) {
			line = strings.TrimSpace(line)
			grant, setting := strings.HasPrefix(line, "<query>"), strings.HasPrefix(line, "<max_") || strings.HasPrefix(line, "<readonly>") || strings.HasPrefix(line, "<allow_")
			if grant && !strings.Contains(made, line) || setting && !strings.Contains(string(text), line) {
				t.Errorf("%s: secrets.sh lacks %s", u.Name, line)
			}
		}
	}
	if n := strings.Count(string(text), "<query>"); n != granted {
		t.Errorf("secrets.sh has %d grants, the schema %d", n, granted)
	}
}
