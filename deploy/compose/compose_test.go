package compose

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/gpumeter/gpumeter/deploy/grafana"
)

// load reads compose files as docker compose does. A warning is a failure.
func load(t *testing.T, files ...string) *types.Project {
	t.Helper()
	var warnings strings.Builder
	logrus.SetOutput(&warnings)
	t.Cleanup(func() { logrus.SetOutput(io.Discard) })
	options, err := cli.NewProjectOptions(files, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if warnings.Len() > 0 {
		t.Errorf("%v: %s", files, warnings.String())
	}
	return project
}

// both are the file alone and with Slack.
func both(t *testing.T) map[string]*types.Project {
	t.Helper()
	return map[string]*types.Project{"compose.yaml": load(t, "compose.yaml"), "slack.yaml": load(t, "compose.yaml", "slack.yaml")}
}

// stages are our services that run on, by name. They are built here, as is what
// migrates.
func stages() []string { return []string{"collector", "processor", "sink"} }

func TestServicesAreWhatTheyShouldBe(t *testing.T) {
	for file, project := range both(t) {
		names := project.ServiceNames()
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "clickhouse collector grafana kafka migrate processor sink" {
			t.Errorf("%s: services %s", file, got)
		}
		for name, s := range project.Services {
			if once := name == "migrate"; !once {
				if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 {
					t.Errorf("%s: %s has no health check", file, name)
				}
				if s.Restart != types.RestartPolicyUnlessStopped {
					t.Errorf("%s: %s does not restart", file, name)
				}
			} else if s.HealthCheck != nil || s.Restart != types.RestartPolicyNo {
				t.Errorf("%s: %s does not end: restart %s", file, name, s.Restart)
			}
			for on, how := range s.DependsOn {
				want := types.ServiceConditionHealthy
				if on == "migrate" {
					want = types.ServiceConditionCompletedSuccessfully
				}
				if how.Condition != want {
					t.Errorf("%s: %s waits until %s is %s, want %s", file, name, on, how.Condition, want)
				}
			}
			for _, p := range s.Ports {
				if p.HostIP != "127.0.0.1" {
					t.Errorf("%s: %s publishes %s on %q: everybody could reach it", file, name, p.Published, p.HostIP)
				}
			}
			if s.Build == nil {
				continue
			}
			if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("%s: %s may do more than it needs", file, name)
			}
		}
	}
}

// pinned is an image with a version or a digest. What is built here is :local.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+(:v?\d+\.\d+(\.\d+)*(-[a-z0-9]+)?|@sha256:[0-9a-f]{64})$`)

func TestImagesArePinned(t *testing.T) {
	for name, s := range load(t, "compose.yaml").Services {
		ours := slices.Contains(append(stages(), "migrate"), name)
		if built := s.Build != nil; built != ours || built && s.Image != strings.TrimSuffix("gpumeter-"+name, "-migrate")+":local" || !built && !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s, built %v", name, s.Image, built)
		}
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	bases := regexp.MustCompile(`(?m)^FROM (\S+) AS (\w+)$`).FindAllStringSubmatch(string(text), -1)
	if len(bases) != len(regexp.MustCompile(`(?m)^FROM `).FindAllString(string(text), -1)) {
		t.Errorf("not every stage has a name: %q", bases)
	}
	for _, m := range bases {
		distroless := regexp.MustCompile(`^gcr\.io/distroless/(base|static)-debian\d+:nonroot$`) // has no other tags
		if m[2] == "build" && !pinned.MatchString(m[1]) || m[2] != "build" && !distroless.MatchString(m[1]) {
			t.Errorf("%s: base %s", m[2], m[1])
		}
	}
}

// Everything that a service or an image takes from the repository is there.
func TestFilesExist(t *testing.T) {
	for file, project := range both(t) {
		for name, s := range project.Services {
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
					t.Errorf("%s: %s mounts %s, read only %v: %v", file, name, v.Source, v.ReadOnly, err)
				}
			}
			if s.Build == nil {
				continue
			}
			text, err := os.ReadFile(filepath.Join(s.Build.Context, s.Build.Dockerfile))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), " AS "+s.Build.Target+"\n") {
				t.Errorf("%s: the Dockerfile has no stage %s", name, s.Build.Target)
			}
			for _, m := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$|(\./\S+/(?:cmd|compose)/\S+)`).FindAllStringSubmatch(string(text), -1) {
				for path := range strings.FieldsSeq(m[1] + " " + m[2]) {
					if _, err := os.Stat(filepath.Join(s.Build.Context, path)); err != nil {
						t.Errorf("the Dockerfile takes %s: %v", path, err)
					}
				}
			}
		}
	}
}

// Each module is downloaded before its sources are copied.
func TestDockerfileKnowsEveryModule(t *testing.T) {
	work, err := os.ReadFile("../../go.work")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	modules := regexp.MustCompile(`\./(\w+)`).FindAllStringSubmatch(string(work), -1)
	if len(modules) < 6 {
		t.Fatalf("go.work has the modules %q", modules)
	}
	for _, m := range modules {
		if !strings.Contains(string(text), "COPY "+m[1]+"/go.mod "+m[1]+"/go.sum "+m[1]+"/\n") {
			t.Errorf("the Dockerfile does not copy go.mod of %s", m[1])
		}
	}
}

// The probe asks the port that the stage serves and that is published.
func TestProbesAskThePortThatIsServed(t *testing.T) {
	project := load(t, "compose.yaml")
	for _, name := range stages() {
		s := project.Services[name]
		listen := configured(t, name, t.TempDir()).HTTP.Listen
		host, port, err := net.SplitHostPort(listen)
		if err != nil || host != "0.0.0.0" {
			t.Errorf("%s listens on %s: %v", name, listen, err)
		}
		if got := strings.Join(s.HealthCheck.Test, " "); got != "CMD /probe http://127.0.0.1:"+port+"/readyz" {
			t.Errorf("%s: probe %q, port %s", name, got, port)
		}
		if len(s.Ports) != 1 || s.Ports[0].Published != port {
			t.Errorf("%s: publishes %v, serves %s", name, s.Ports, port)
		}
	}
}

// Grafana has what its provisioning asks for.
func TestGrafanaFindsItsProvisioning(t *testing.T) {
	s := load(t, "compose.yaml").Services["grafana"]
	mounted := func(v types.ServiceVolumeConfig) bool {
		return v.Target == grafana.Mount && strings.HasSuffix(filepath.ToSlash(v.Source), "deploy/grafana/provisioning")
	}
	if !slices.ContainsFunc(s.Volumes, mounted) {
		t.Errorf("nothing of ours is mounted on %s: %v", grafana.Mount, s.Volumes)
	}
	if want, got := grafana.Plugin+"@"+grafana.PluginVersion, s.Environment["GF_PLUGINS_PREINSTALL_SYNC"]; got == nil || *got != want {
		t.Errorf("installs the plugin %v, the panels are written for %s", got, want)
	}
	text, err := os.ReadFile("../grafana/provisioning/datasources/gpumeter.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\$([A-Z]\w+)`).FindAllStringSubmatch(string(text), -1)
	if len(names) != 3 {
		t.Errorf("the data source reads %q", names)
	}
	for _, m := range names {
		if s.Environment[m[1]] == nil {
			t.Errorf("the data source reads %s, which is not set", m[1])
		}
	}
	password := func(secret types.ServiceSecretConfig) bool {
		return "/run/secrets/"+secret.Source == grafana.PasswordFile
	}
	if !slices.ContainsFunc(s.Secrets, password) {
		t.Errorf("it does not get %s", grafana.PasswordFile)
	}
	if home := s.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]; home == nil {
		t.Error("no home")
	} else if _, err := os.Stat(strings.Replace(*home, grafana.Mount, "../grafana/provisioning", 1)); err != nil {
		t.Errorf("home is %s: %v", *home, err)
	}
}

// What must outlive a container is on a volume of its own, which its user may write
// to: a new one has the owner of what the image has there.
func TestWhatIsKeptIsOnVolumes(t *testing.T) {
	project := load(t, "compose.yaml")
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string][]string{
		"kafka": {*project.Services["kafka"].Environment["KAFKA_LOG_DIRS"]}, "clickhouse": {"/var/lib/clickhouse"}, "grafana": {"/var/lib/grafana"},
	}
	for _, stage := range stages() {
		kept[stage] = configured(t, stage, t.TempDir()).dirs
	}
	used := map[string]string{}
	for name, dirs := range kept {
		for _, dir := range dirs {
			i := slices.IndexFunc(project.Services[name].Volumes, func(v types.ServiceVolumeConfig) bool {
				return v.Type == types.VolumeTypeVolume && !v.ReadOnly && strings.HasPrefix(dir+"/", v.Target+"/")
			})
			if i < 0 {
				t.Errorf("%s: %q is on no volume", name, dir)
				continue
			}
			v := project.Services[name].Volumes[i]
			if other := used[v.Source]; other != "" && other != name {
				t.Errorf("%s and %s share the volume %s", name, other, v.Source)
			}
			used[v.Source] = name
			_, image, _ := strings.Cut(string(dockerfile), " AS "+name+"\n")
			image, _, _ = strings.Cut(image, "\nFROM ")
			if slices.Contains(stages(), name) && !strings.Contains(image, "--chown=nonroot:nonroot /out/kept "+v.Target+"\n") {
				t.Errorf("%s: its image does not give %s to its user", name, v.Target)
			}
		}
	}
	if len(used) != len(project.Volumes) {
		t.Errorf("used %v of %v", used, project.Volumes)
	}
}
