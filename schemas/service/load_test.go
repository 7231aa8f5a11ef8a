package service

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type batch struct {
	Rows int           `koanf:"rows" doc:"rows of one batch"`
	Wait time.Duration `koanf:"wait" doc:"longest time that a row is held"`
}

type testConfig struct {
	Config  `koanf:",squash"`
	Brokers []string `koanf:"brokers" doc:"addresses"`
	Batch   batch    `koanf:"batch"`
	Idle    struct {
		Epsilon float64 `koanf:"epsilon"`
		Memory  uint64  `koanf:"memory_bytes"`
	} `koanf:"idle"`
	Follow bool  `koanf:"follow"`
	Copies int16 `koanf:"copies"`
	hidden int
}

func (c testConfig) Validate() error {
	if c.Batch.Rows < 1 {
		return errors.New("batch.rows: less than 1")
	}
	return nil
}

func defaults() testConfig {
	c := testConfig{Config: DefaultConfig(9400), Batch: batch{Rows: 10, Wait: time.Second}, hidden: 1}
	c.Idle.Epsilon = 0.01
	return c
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSourcesInOrder(t *testing.T) {
	file := write(t, `# all of it
brokers: [a:1, b:2]
batch:
  rows: 20
  wait: 2m
idle.epsilon: 0.02
idle:
  memory_bytes: 4294967296
log: {level: debug}
copies: 3
`)
	c := defaults()
	err := Load(&c, Sources{
		File: file,
		Env:  []string{"GPUMETER_BATCH_ROWS=30", "GPUMETER_IDLE_EPSILON=0.03", "GPUMETER_FOLLOW=true", "GPUMETER_UNKNOWN=1", "PATH=x"},
		Set:  []string{"idle.epsilon=0.04", "idle.epsilon=0.05", "http.listen="},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Brokers = []string{"a:1", "b:2"}
	want.Batch = batch{Rows: 30, Wait: 2 * time.Minute}
	want.Idle.Epsilon, want.Idle.Memory = 0.05, 1<<32
	want.Log.Level, want.Follow, want.Copies, want.HTTP.Listen = slog.LevelDebug, true, 3, ""
	if !slices.Equal(c.Brokers, want.Brokers) {
		t.Errorf("brokers: %q", c.Brokers)
	}
	c.Brokers, want.Brokers = nil, nil
	if c.Config != want.Config || c.Batch != want.Batch || c.Idle != want.Idle || c.Follow != want.Follow || c.Copies != want.Copies || c.hidden != 1 {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestBaseIsTheWeakestAndMayBeMissing(t *testing.T) {
	c := defaults()
	if err := Load(&c, Sources{Base: write(t, "copies: 1\nidle.epsilon: 0.5"), File: write(t, "copies: 2")}); err != nil || c.Copies != 2 || c.Idle.Epsilon != 0.5 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := Load(&c, Sources{Base: filepath.Join(t.TempDir(), "none.yaml")}); err != nil {
		t.Error(err)
	}
}

func TestListsAreSplitAndReplaced(t *testing.T) {
	c := defaults()
	c.Brokers = []string{"old:1", "older:2", "oldest:3"}
	if err := Load(&c, Sources{Set: []string{"brokers=a:1, b:2"}}); err != nil || !slices.Equal(c.Brokers, []string{"a:1", "b:2"}) {
		t.Errorf("%q, %v", c.Brokers, err)
	}
	if err := Load(&c, Sources{Set: []string{"brokers="}}); err != nil || len(c.Brokers) != 0 {
		t.Errorf("emptied: %q, %v", c.Brokers, err)
	}
}

// Every refusal names the key, the place and what to do.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name, file string
		env, set   []string
		want       []string
	}{
		{"unknown key of the file", "batch:\n  rows: 1\n  wiat: 1s\n", nil, nil, []string{"c.yaml:3", `"batch.wiat"`, `"batch.wait"`}},
		{"unknown branch", "bach:\n  rows: 1\n", nil, nil, []string{"c.yaml:2", `"batch.rows"`}},
		{"leaf without its branch", "", nil, []string{"epsilon=1"}, []string{"--set", `"idle.epsilon"`}},
		{"nothing near", "", nil, []string{"zebra=1"}, []string{`"zebra"`, "--help"}},
		{"branch as a value", "batch: 7\n", nil, nil, []string{"c.yaml:1", `"batch"`}},
		{"no value", "batch:\n  rows:\n", nil, nil, []string{"c.yaml:2", "batch.rows"}},
		{"twice", "batch:\n  rows: 1\nbatch.rows: 2\n", nil, nil, []string{"c.yaml:3", "batch.rows", "line 2"}},
		{"not a number", "", []string{"GPUMETER_BATCH_ROWS=many"}, nil, []string{"GPUMETER_BATCH_ROWS", "batch.rows", "number"}},
		{"not a duration", "batch: {wait: 7 weeks}", nil, nil, []string{"c.yaml:1", "batch.wait", "duration"}},
		{"a duration without its unit", "", nil, []string{"batch.wait=7"}, []string{"--set", "batch.wait", "duration"}},
		{"not a bool", "", nil, []string{"follow=perhaps"}, []string{"--set", "follow", "true|false"}},
		{"negative", "", nil, []string{"idle.memory_bytes=-1"}, []string{"--set", "idle.memory_bytes", "number"}},
		{"too large", "", nil, []string{"copies=70000"}, []string{"copies"}},
		{"empty", "", nil, []string{"batch.rows="}, []string{"batch.rows", "empty"}},
		{"a list for a value", "batch: {rows: [1]}", nil, nil, []string{"c.yaml:1", "batch.rows", "list"}},
		{"a mapping in a list", "brokers: [{a: 1}]", nil, nil, []string{"c.yaml:1", "brokers"}},
		{"no level", "", nil, []string{"log.level=loud"}, []string{"log.level"}},
		{"no key", "", nil, []string{"batch.rows"}, []string{"--set batch.rows", "key=value"}},
		{"not YAML", "batch: [\n", nil, nil, []string{"c.yaml"}},
		{"a list", "- 1\n", nil, nil, []string{"c.yaml:1", "mapping"}},
		{"two documents", "copies: 1\n---\ncopies: 2\n", nil, nil, []string{"c.yaml", "document"}},
		{"an anchor", "batch: {rows: &a 1}", nil, nil, []string{"c.yaml:1", "batch.rows"}},
		{"refused by Validate", "", nil, []string{"batch.rows=0"}, []string{"batch.rows: less than 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			from := Sources{Env: test.env, Set: test.set}
			if test.file != "" {
				from.File = write(t, test.file)
			}
			c := defaults()
			err := Load(&c, from)
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// Two embedded configurations hide each other's Validate; both are asked.
func TestEmbeddedConfigurationsAreAllAsked(t *testing.T) {
	c := struct {
		Config `koanf:",squash"`
		Own    testConfig `koanf:"own"`
		Skip   testConfig
	}{Config: DefaultConfig(0)}
	err := Load(&c, Sources{Set: []string{"log.format=xml"}})
	if err == nil || !strings.Contains(err.Error(), "log.format") || strings.Count(err.Error(), "batch.rows") != 1 {
		t.Errorf("%v", err)
	}
}

func TestMissingFile(t *testing.T) {
	c := defaults()
	if err := Load(&c, Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestEmptyFileIsDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		c := defaults()
		if err := Load(&c, Sources{File: write(t, text)}); err != nil || c.Batch != defaults().Batch {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestKeys(t *testing.T) {
	keys := Keys(defaults())
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		names = append(names, k.Name)
	}
	want := []string{"http.listen", "log.level", "log.format", "memory.limit", "brokers", "batch.rows", "batch.wait", "idle.epsilon", "idle.memory_bytes", "follow", "copies"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q\nwant %q", names, want)
	}
	wait := keys[slices.Index(names, "batch.wait")]
	if wait.Env != "GPUMETER_BATCH_WAIT" || wait.Default != "1s" || wait.Type != "duration" || wait.Doc != "longest time that a row is held" {
		t.Errorf("%+v", wait)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour: "1h", 1080 * time.Hour: "1080h", 61 * time.Minute: "1h1m",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: {b: [c, d]}", "a:\n  b: 1\n  c: \"x\"\n", "? a\n: b", "a: |\n x", "<<: *a", "a: !!binary x", "[]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := parseYAML("f", []byte(text))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, s := range settings {
			if seen[s.key] {
				t.Errorf("key %q twice", s.key)
			}
			seen[s.key] = true
		}
	})
}
