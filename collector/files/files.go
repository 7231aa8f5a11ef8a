package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// Config says what to read.
type Config struct {
	Dir    string        `koanf:"dir" doc:"directory of the input contract"`
	Follow bool          `koanf:"follow" doc:"wait for more instead of ending"`
	Poll   time.Duration `koanf:"poll" doc:"how often a followed file is looked at"`
}

// DefaultConfig reads to the end of what is there; the directory must be given.
func DefaultConfig() Config { return Config{Poll: 200 * time.Millisecond} }

// Validate gives the first thing that is wrong, and its reason.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("source.files.dir: not given: name the directory of the input files")
	}
	if c.Poll < time.Millisecond || c.Poll > time.Minute {
		return fmt.Errorf("source.files.poll: %v is not from 1ms to 1m: it is added to the age of every row", c.Poll)
	}
	return nil
}

// Read reads the directory and hands every row to the publisher, every line
// that cannot be read to it as a dead letter. In batch mode it returns at the
// end of all files, or with the context's error; in follow mode the end of the
// context is the regular end and nil. It flushes nothing.
func Read(ctx context.Context, cfg Config, to *publish.Publisher) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	present, err := present(cfg)
	if err != nil {
		return err
	}
	all, reading := errgroup.WithContext(ctx)
	for _, file := range present {
		all.Go(func() error {
			if cfg.Follow {
				return follow(reading, cfg, file, to)
			}
			return readOnce(reading, cfg, file, to)
		})
	}
	err = all.Wait()
	if stop := ctx.Err(); cfg.Follow && stop != nil && errors.Is(err, stop) {
		return nil
	}
	return err
}

// present lists the files to read: those that are there, or all to be followed.
func present(cfg Config) ([]contract.File, error) {
	info, err := os.Stat(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("source.files.dir: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("source.files.dir: %s is a file: name the directory that holds it", cfg.Dir)
	}
	if cfg.Follow {
		return contract.Files(), nil
	}
	var there []contract.File
	var names []string
	for _, f := range contract.Files() {
		names = append(names, f.Name)
		switch _, err := os.Stat(filepath.Join(cfg.Dir, f.Name)); {
		case err == nil:
			there = append(there, f)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("source.files.dir: %w", err)
		}
	}
	if len(there) == 0 {
		return nil, fmt.Errorf("source.files.dir: %s holds none of %s", cfg.Dir, strings.Join(names, ", "))
	}
	return there, nil
}

func readOnce(ctx context.Context, cfg Config, file contract.File, to *publish.Publisher) error {
	f, err := os.Open(filepath.Join(cfg.Dir, file.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	return read(ctx, file, f, to)
}

// follow reads one incarnation of a file after the other.
func follow(ctx context.Context, cfg Config, file contract.File, to *publish.Publisher) error {
	path := filepath.Join(cfg.Dir, file.Name)
	for {
		f, err := waitOpen(ctx, path, cfg.Poll)
		if err != nil {
			return err
		}
		err = read(ctx, file, &tail{ctx: ctx, path: path, file: f, poll: cfg.Poll}, to)
		_ = f.Close() // nothing was written
		if err != nil {
			return err
		}
	}
}

// read publishes the rows of one file to its end.
func read(ctx context.Context, file contract.File, in io.Reader, to *publish.Publisher) error {
	r := contract.NewReader(file, in)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := r.Next()
		for _, field := range r.Ignored() {
			to.Ignored(file.Stream, field)
		}
		if err == nil {
			err = publishRow(r, file.Stream, to)
		} else if why := (*contract.Error)(nil); errors.As(err, &why) {
			err = publish.Add(to, r.DeadLetter(why), len(r.Line()))
		} else if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Place(), err)
		}
	}
}

func publishRow(r *contract.Reader, stream string, to *publish.Publisher) error {
	size := len(r.Line())
	switch stream {
	case schemas.StreamSamples:
		return to.Sample(&r.Sample)
	case schemas.StreamProcesses:
		return publish.Add(to, r.Process, size)
	case schemas.StreamAllocations:
		return publish.Add(to, r.Allocation, size)
	case schemas.StreamResources:
		return publish.Add(to, r.Resource, size)
	case schemas.StreamPrices:
		return publish.Add(to, r.Price, size)
	default:
		return publish.Add(to, r.Tag, size)
	}
}
