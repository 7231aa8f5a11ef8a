package kafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// A Cluster is one node or three.
type Cluster struct {
	options   Options
	home      string // Kafka's jars
	java      string
	authority *Authority // nil without Security
	nodes     []*Node
	ports     *os.File // held while the nodes may listen
}

// Start installs Kafka where it is not yet, formats the nodes' storage, starts them
// and waits until all of them serve clients.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.validate()
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o}
	if c.java, err = java(ctx); err != nil {
		return nil, err
	}
	if c.home, err = Home(ctx); err != nil {
		return nil, err
	}
	err = c.prepare(ctx)
	if err == nil {
		err = c.begin(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// prepare writes all that the nodes need to start.
func (c *Cluster) prepare(ctx context.Context) error {
	if err := os.MkdirAll(c.options.Dir, 0o700); err != nil {
		return fmt.Errorf("kafka: make the directory: %w", err)
	}
	if c.options.Security != nil {
		var err error
		if c.authority, err = NewAuthority(filepath.Join(c.options.Dir, "tls")); err != nil {
			return err
		}
		if err := c.authority.server(); err != nil {
			return err
		}
	}
	if err := c.place(); err != nil {
		return err
	}
	return c.format(ctx)
}

// place gives the nodes their addresses.
func (c *Cluster) place() error {
	clients := c.options.listeners()
	each := 2 + len(clients)
	addresses, held, err := reserve(c.options.Nodes * each)
	if err != nil {
		return err
	}
	c.ports = held
	for i := range c.options.Nodes {
		n := &Node{cluster: c, id: i + 1, listen: map[Listener]string{}, advertised: map[Listener]string{}}
		for k, l := range append([]Listener{controller, internal}, clients...) {
			address := addresses[i*each+k]
			n.listen[l], n.advertised[l] = address, address
			if c.options.Advertise != nil && slices.Contains(clients, l) {
				n.advertised[l] = c.options.Advertise(n.id, l, address)
			}
		}
		c.nodes = append(c.nodes, n)
	}
	return nil
}

// format writes the nodes' settings and their empty storage.
func (c *Cluster) format(ctx context.Context) error {
	id := clusterID()
	all, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		all.Go(func() error {
			if err := os.WriteFile(n.path("properties"), propertiesText(c.properties(n)), 0o600); err != nil {
				return fmt.Errorf("kafka: write the settings of node %d: %w", n.id, err)
			}
			cmd := c.javaCommand(ctx, "kafka.tools.StorageTool", c.formatting(n, id)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("kafka: format the storage of node %d: %w: %s", n.id, err, tail(out))
			}
			return nil
		})
	}
	return all.Wait()
}

// formatting are the arguments that format a node's storage.
func (c *Cluster) formatting(n *Node, id string) []string {
	arguments := append([]string{"format", "-t", id, "-c", n.path("properties")}, c.scram()...)
	for _, name := range slices.Sorted(maps.Keys(c.options.Features)) {
		arguments = append(arguments, "--feature", name+"="+strconv.Itoa(c.options.Features[name]))
	}
	return arguments
}

// clusterID is a random identifier in Kafka's spelling, never with a leading dash.
func clusterID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // does not fail
	id[0] = 0
	return base64.RawURLEncoding.EncodeToString(id)
}

// begin starts the nodes and waits for them.
func (c *Cluster) begin(ctx context.Context) error {
	all, together := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		all.Go(func() error { return n.Restart(together) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return c.await(ctx, "the nodes to know each other", func(ctx context.Context, adm *kadm.Client) error {
		known, err := adm.ListBrokers(ctx)
		if err == nil && len(known) < len(c.nodes) {
			err = fmt.Errorf("%d of %d nodes", len(known), len(c.nodes))
		}
		return err
	})
}

// javaCommand is a class of Kafka's with the arguments it takes; the end of ctx kills it.
func (c *Cluster) javaCommand(ctx context.Context, class string, arguments ...string) *exec.Cmd {
	heap := strconv.Itoa(c.options.HeapMB) + "m"
	return exec.CommandContext(ctx, c.java, append([]string{
		"-Xmx" + heap, "-XX:+UseSerialGC",
		"-XX:TieredStopAtLevel=1", // half the start, at a third of the speed later
		"-Dlog4j2.configurationFile=" + filepath.Join(c.home, "log4j2.xml"),
		"-cp", filepath.Join(c.home, "libs", "*"), class,
	}, arguments...)...)
}

// Stop ends all nodes at once, as kill -9 does: nobody reads their data again.
func (c *Cluster) Stop() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Kill())
	}
	if c.ports != nil {
		errs = append(errs, c.ports.Close())
		c.ports = nil
	}
	return errors.Join(errs...)
}

// Nodes are the cluster's nodes, by their number from 1.
func (c *Cluster) Nodes() []*Node { return slices.Clone(c.nodes) }

// Addresses are where clients find a listener, of all nodes: what the nodes
// advertise.
func (c *Cluster) Addresses(l Listener) []string {
	var all []string
	for _, n := range c.nodes {
		all = append(all, n.advertised[l])
	}
	return all
}

// Direct are the addresses of the nodes that Advertise does not change. They ask
// for nothing, and who comes in by them is a super user.
func (c *Cluster) Direct() []string { return c.Addresses(internal) }

// Authority has signed the nodes' certificates. It is nil without Security.
func (c *Cluster) Authority() *Authority { return c.authority }

// AwaitInSync waits until every partition has all its copies in sync: then the next
// node may die.
func (c *Cluster) AwaitInSync(ctx context.Context) error {
	return c.await(ctx, "all copies to be in sync", func(ctx context.Context, adm *kadm.Client) error {
		topics, err := adm.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		for _, t := range topics {
			for _, p := range t.Partitions {
				if err := errors.Join(t.Err, p.Err); err != nil {
					return err
				}
				if len(p.ISR) < len(p.Replicas) {
					return fmt.Errorf("%s partition %d has %d of %d copies in sync", t.Topic, p.Partition, len(p.ISR), len(p.Replicas))
				}
			}
		}
		return nil
	})
}

// await asks the cluster until there is nothing against it.
func (c *Cluster) await(ctx context.Context, what string, against func(context.Context, *kadm.Client) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Direct()...), kgo.DisableClientMetrics(),
		kgo.MetadataMinAge(lookAgain)) // kadm is content with metadata of that age
	if err != nil {
		return fmt.Errorf("kafka: make a client: %w", err)
	}
	defer client.Close()
	for last := error(nil); ; {
		err := against(ctx, kadm.NewClient(client))
		if err == nil {
			return nil
		}
		if ctx.Err() == nil { // else it is only that
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kafka: wait for %s: %w", what, errors.Join(context.Cause(ctx), last))
		case <-time.After(lookAgain):
		}
	}
}
