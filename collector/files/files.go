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

	"github.com/gpumeter/gpumeter/collector/source"
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

// A Source reads a directory.
type Source struct {
	Config  Config
	Ignored func(stream, field string) // is told each field that the contract does not know; from several goroutines
}

// Run hands every row to the sink, every line that cannot be read as a dead
// letter. In batch mode it returns at the end of all files, or with the
// context's error; in follow mode the end of the context is the regular end and
// nil.
func (s Source) Run(ctx context.Context, to source.Sink) error {
	cfg := s.Config
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
				return s.follow(reading, file, to)
			}
			return s.readOnce(reading, file, to)
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

func (s Source) readOnce(ctx context.Context, file contract.File, to source.Sink) error {
	f, err := os.Open(filepath.Join(s.Config.Dir, file.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	return s.read(ctx, file, f, to)
}

// follow reads one incarnation of a file after the other.
func (s Source) follow(ctx context.Context, file contract.File, to source.Sink) error {
	path := filepath.Join(s.Config.Dir, file.Name)
	for {
		f, err := waitOpen(ctx, path, s.Config.Poll)
		if err != nil {
			return err
		}
		err = s.read(ctx, file, &tail{ctx: ctx, path: path, file: f, poll: s.Config.Poll}, to)
		_ = f.Close() // nothing was written
		if err != nil {
			return err
		}
	}
}

// read hands over the rows of one file to its end.
func (s Source) read(ctx context.Context, file contract.File, in io.Reader, to source.Sink) error {
	r := contract.NewReader(file, in)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := r.Next()
		for _, field := range r.Ignored() {
			s.Ignored(file.Stream, field)
		}
		if err == nil {
			err = hand(r, file.Stream, to)
		} else if why := (*contract.Error)(nil); errors.As(err, &why) {
			err = to.DeadLetter(r.DeadLetter(why))
		} else if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.Place(), err)
		}
	}
}

// hand gives the sink the row that r has just read.
func hand(r *contract.Reader, stream string, to source.Sink) error {
	switch stream {
	case schemas.StreamSamples:
		return to.Sample(&r.Sample)
	case schemas.StreamProcesses:
		return to.Process(r.Process)
	case schemas.StreamAllocations:
		return to.Allocation(r.Allocation)
	case schemas.StreamResources:
		return to.Resource(r.Resource)
	case schemas.StreamPrices:
		return to.Price(r.Price)
	default:
		return to.Tag(r.Tag)
	}
}
