package collector

import (
	"fmt"

	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/collector/source"
)

// Kinds of sources.
const (
	KindFiles = "files" // a directory of the input contract
	KindFleet = "fleet" // a synthetic fleet
)

// Source says what is collected: one source, with its own settings. The settings
// of the others are not looked at.
type Source struct {
	Kind  string       `koanf:"kind" doc:"what is collected: files or fleet"`
	Files files.Config `koanf:"files"`
	Fleet fleet.Config `koanf:"fleet"`
}

// DefaultSource reads files; their directory must be given.
func DefaultSource() Source {
	return Source{Kind: KindFiles, Files: files.DefaultConfig(), Fleet: fleet.DefaultConfig()}
}

// Validate gives the first thing that is wrong with the source that is named.
func (s Source) Validate() error {
	switch s.Kind {
	case KindFiles:
		return s.Files.Validate()
	case KindFleet:
		return s.Fleet.Validate()
	default:
		return fmt.Errorf("source.kind: %q is not %s or %s", s.Kind, KindFiles, KindFleet)
	}
}

// open makes the source that is named, which must be valid. ignored is told
// fields that the input contract does not know.
func (s Source) open(ignored func(stream, field string)) source.Source {
	if s.Kind == KindFleet {
		return fleet.Live{Config: s.Fleet}
	}
	return files.Source{Config: s.Files, Ignored: ignored}
}
