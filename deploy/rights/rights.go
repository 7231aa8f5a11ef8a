package rights

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/sink"
)

// Names of the components. The notifier runs in the sink's process, as its
// principal.
const (
	Topics    = "topics" // whoever makes the topics: gpumeter topics, or any component that may
	Collector = "collector"
	Processor = "processor"
	Sink      = "sink"
	Notifier  = "notifier"
)

// A Component is one of them with the least rights for its work.
type Component struct {
	Name   string
	What   string
	Rights []broker.Right
}

// Principal is the user that the component is supposed to be.
func (c Component) Principal() string { return "User:gpumeter-" + c.Name }

// Components lists all, with the groups of their defaults.
func Components() []Component {
	store := sink.DefaultConfig()
	return []Component{
		{Topics, "makes the topics, once", broker.MakerRights()},
		{Collector, "publishes what sources say", of(collector.DefaultConfig().Use())},
		{Processor, "meters and detects", of(processor.DefaultConfig().Uses()...)},
		{Sink, "stores", of(store.Use())},
		{Notifier, "tells of alerts; in the sink's process, so give its rights to the sink's user where Slack is told", of(store.Notify.Use())},
	}
}

// of joins the rights of several uses, each once.
func of(uses ...broker.Use) []broker.Right {
	var all []broker.Right
	for _, u := range uses {
		for _, r := range u.Rights() {
			if !slices.Contains(all, r) {
				all = append(all, r)
			}
		}
	}
	return all
}

// Print writes the rights as a table and as the commands that give them.
func Print(to io.Writer, components []Component) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COMPONENT\tPRINCIPAL\tRIGHT")
	for _, c := range components {
		for _, r := range c.Rights {
			fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.Principal(), r)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range components {
		if _, err := fmt.Fprintf(to, "\n# %s: %s\n", c.Name, c.What); err != nil {
			return err
		}
		for _, r := range c.Rights {
			if _, err := fmt.Fprintln(to, r.Command(c.Principal())); err != nil {
				return err
			}
		}
	}
	return nil
}
