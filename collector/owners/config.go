package owners

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Config says where to look and what to tell of it.
type Config struct {
	Proc   string   `koanf:"proc" doc:"where /proc of the node is mounted"`
	State  string   `koanf:"state" doc:"file that remembers open allocations over a restart, empty = none"`
	Ignore []string `koanf:"ignore" doc:"programs that hold no GPU though the driver lists them, by the first 15 characters of their name"`
	Labels []string `koanf:"labels" doc:"variables of a process's environment that become labels, as VARIABLE=label; of one label the first that is set counts"`
}

// DefaultConfig looks at this machine and keeps no state. It ignores display
// servers, which sit on every GPU beside the work, and the server of CUDA MPS,
// whose clients are listed themselves: each would bear a share of the cost.
func DefaultConfig() Config {
	return Config{Proc: "/proc", Ignore: []string{"Xorg", "Xwayland", "gnome-shell", "nvidia-cuda-mps"}, Labels: []string{
		"GPUMETER_TEAM=team", "GPUMETER_PROJECT=project", "GPUMETER_COST_CENTER=cost_center",
		"GPUMETER_ENVIRONMENT=environment", "GPUMETER_MODEL=model", "GPUMETER_MODEL_VERSION=model_version",
		"GPUMETER_PHASE=phase", "WANDB_PROJECT=project", "WANDB_NAME=run", "MLFLOW_EXPERIMENT_NAME=experiment",
		"SLURM_JOB_NAME=job_name", "SLURM_JOB_ACCOUNT=account", "SLURM_JOB_PARTITION=partition", "SLURM_JOB_QOS=qos",
		"SLURM_ARRAY_JOB_ID=array_job_id", "SLURM_ARRAY_TASK_ID=array_task_id",
	}}
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var wrong []error
	if !filepath.IsAbs(c.Proc) {
		wrong = append(wrong, fmt.Errorf("owners.proc: %q is not an absolute path: name where the node's /proc is mounted", c.Proc))
	}
	if c.State != "" && !filepath.IsAbs(c.State) {
		wrong = append(wrong, fmt.Errorf("owners.state: %q is not an absolute path: a restart may begin in another directory", c.State))
	}
	for _, l := range c.Labels {
		if name, key, _ := strings.Cut(l, "="); name == "" || key == "" {
			wrong = append(wrong, fmt.Errorf("owners.labels: %q is not VARIABLE=label", l))
		}
	}
	return errors.Join(wrong...)
}

// checkDir makes sure that the state file can be written beside its old self.
func checkDir(state string) error {
	probe, err := os.CreateTemp(filepath.Dir(state), ".owners-*")
	if err != nil {
		return fmt.Errorf("owners.state: cannot write in its directory: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
