package compose

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/deploy/grafana"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/sink"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// A stage's configuration is the shell's and its own, as in its main package.
type config[T any] struct {
	Shell service.Config `koanf:",squash"`
	Stage T              `koanf:",squash"`
}

// loaded is what the tests look at.
type loaded struct {
	service.Config
	Broker broker.Config
	Topics broker.Layout
	keys   []service.Key
	dirs   []string // that it writes to
}

// configured loads a stage's file as its binary does; what lies in /run/secrets
// there is taken from the folder secrets. Keys and values must be right.
func configured(t *testing.T, stage, secrets string) loaded {
	t.Helper()
	text, err := os.ReadFile(stage + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "clickhouse_writer"), []byte("password"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), stage+".yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "/run/secrets", secrets)), 0o600); err != nil {
		t.Fatal(err)
	}
	from := service.Sources{File: file}
	switch stage {
	case "collector":
		c := config[collector.Config]{service.DefaultConfig(0), collector.DefaultConfig()}
		check(t, stage, service.Load(&c, from))
		return loaded{c.Shell, c.Stage.Broker, c.Stage.Topics, service.Keys(c), []string{c.Stage.Spool.Disk.Dir}}
	case "processor":
		c := config[processor.Config]{service.DefaultConfig(0), processor.DefaultConfig()}
		check(t, stage, service.Load(&c, from))
		return loaded{c.Shell, c.Stage.Broker, c.Stage.Topics, service.Keys(c), []string{c.Stage.Rules.State.Dir, c.Stage.Quarantine}}
	default:
		c := config[sink.Config]{service.DefaultConfig(0), sink.DefaultConfig()}
		check(t, stage, service.Load(&c, from))
		return loaded{c.Shell, c.Stage.Broker, c.Stage.Topics, service.Keys(c), []string{c.Stage.Quarantine}}
	}
}

func check(t *testing.T, stage string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s.yaml: %v", stage, err)
	}
}

// Each stage starts with its file: a key that is renamed, or a value that is no
// longer right, fails here. Between them the files agree.
func TestStagesTakeTheirConfiguration(t *testing.T) {
	project := load(t, "compose.yaml")
	partitions := map[int32]bool{}
	for _, stage := range stages() {
		c := configured(t, stage, t.TempDir())
		if !slices.Equal(c.Broker.Brokers, []string{"kafka:9092"}) {
			t.Errorf("%s: brokers %v", stage, c.Broker.Brokers)
		}
		partitions[c.Topics.Partitions] = true
		s := project.Services[stage]
		target := "/etc/gpumeter/" + stage + ".yaml"
		if !slices.Equal(s.Command, []string{"--config", target}) || s.Volumes[0].Target != target || filepath.Base(s.Volumes[0].Source) != stage+".yaml" {
			t.Errorf("%s: command %v, mounts %v", stage, s.Command, s.Volumes)
		}
	}
	if len(partitions) != 1 {
		t.Errorf("the stages disagree about partitions: %v", partitions)
	}
}

// Variables are settings under another name.
func TestVariablesAreKnownKeys(t *testing.T) {
	for file, project := range both(t) {
		for _, stage := range stages() {
			keys := configured(t, stage, t.TempDir()).keys
			for name := range project.Services[stage].Environment {
				known := func(k service.Key) bool { return k.Env == name }
				if strings.HasPrefix(name, "GPUMETER_") && !slices.ContainsFunc(keys, known) {
					t.Errorf("%s: %s has no key for %s", file, stage, name)
				}
			}
		}
	}
	webhook := load(t, "compose.yaml", "slack.yaml").Services["sink"].Environment[service.EnvName("slack.webhook_file")]
	if webhook == nil || *webhook != "/run/secrets/slack_webhook" {
		t.Errorf("slack.yaml does not name the webhook's file: %v", webhook)
	}
}

// The link in a message opens the dashboard on the finding's time.
func TestSlackLinksToTheDashboard(t *testing.T) {
	c := config[sink.Config]{service.DefaultConfig(0), sink.DefaultConfig()}
	if err := service.Load(&c, service.Sources{File: "sink.yaml", Set: []string{"clickhouse=clickhouse://here:9000"}}); err != nil {
		t.Fatal(err)
	}
	link, err := slack.ParseLink(c.Stage.Slack.Link)
	if err != nil {
		t.Fatal(err)
	}
	files, err := grafana.Files()
	if err != nil {
		t.Fatal(err)
	}
	uid := strings.Split(strings.SplitAfter(c.Stage.Slack.Link, "/d/")[1], "?")[0]
	if !strings.Contains(string(files["provisioning/dashboards/overview.json"]), `"uid": "`+uid+`"`) {
		t.Errorf("%s opens no dashboard of ours", link)
	}
}
