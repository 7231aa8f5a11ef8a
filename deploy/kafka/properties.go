package kafka

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// properties are the settings of a node, Options.Settings over ours.
func (c *Cluster) properties(n *Node) map[string]string {
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.id),
		"controller.quorum.voters":       c.voters(),
		"controller.listener.names":      string(controller),
		"inter.broker.listener.name":     string(internal),
		"log.dirs":                       n.path("data"),
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",

		// Small machines, and clusters that live for minutes.
		"num.network.threads": "2", "num.io.threads": "4", "background.threads": "2",
		"log.cleaner.dedupe.buffer.size": "16777216",
		"offsets.topic.num.partitions":   "4", "transaction.state.log.num.partitions": "4", "share.coordinator.state.topic.num.partitions": "1",
		"group.initial.rebalance.delay.ms": "0",    // nobody else is about to come
		"group.min.session.timeout.ms":     "1000", // so that a test may choose
		// How late after its timeout the transaction of a dead process is aborted.
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
		// As production clusters have it.
		"auto.create.topics.enable": "false", "unclean.leader.election.enable": "false",
	}
	c.replicate(p)
	c.secure(p)
	for _, l := range c.options.More {
		p["listener.security.protocol.map"] += "," + string(l) + ":PLAINTEXT"
	}
	var listen, advertise []string
	for _, l := range append([]Listener{controller, internal}, c.options.listeners()...) {
		listen = append(listen, string(l)+"://"+n.listen[l])
		if l != controller { // which others know from the voters
			advertise = append(advertise, string(l)+"://"+n.advertised[l])
		}
	}
	p["listeners"], p["advertised.listeners"] = strings.Join(listen, ","), strings.Join(advertise, ",")
	maps.Copy(p, c.options.Settings)
	return p
}

func (c *Cluster) voters() string {
	var voters []string
	for _, n := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", n.id, n.listen[controller]))
	}
	return strings.Join(voters, ",")
}

// replicate sets how many copies there are and how soon a dead node is noticed.
func (c *Cluster) replicate(p map[string]string) {
	copies, enough := strconv.Itoa(len(c.nodes)), strconv.Itoa(len(c.nodes)/2+1)
	for _, setting := range []string{"default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor", "share.coordinator.state.topic.replication.factor"} {
		p[setting] = copies
	}
	for _, setting := range []string{"min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"} {
		p[setting] = enough
	}
	maps.Copy(p, map[string]string{
		// Before it has passed, a node that was killed is not let in again either.
		"broker.session.timeout.ms": "4000", "broker.heartbeat.interval.ms": "500",
		"controller.quorum.election.timeout.ms": "1000", "controller.quorum.fetch.timeout.ms": "2000",
		"replica.lag.time.max.ms": "5000",
	})
}

func (c *Cluster) secure(p map[string]string) {
	s := c.options.Security
	if s == nil {
		return
	}
	maps.Copy(p, map[string]string{
		"ssl.keystore.type": "PEM", "ssl.keystore.location": c.authority.serverFile(),
		"ssl.truststore.type": "PEM", "ssl.truststore.location": c.authority.CA(),
		"listener.name.ssl.ssl.client.auth":      "required",
		"listener.name.sasl_ssl.ssl.client.auth": "none",
		"ssl.principal.mapping.rules":            "RULE:^CN=([^,]+).*$/$1/,DEFAULT", // User:NAME, not User:CN=NAME
		"sasl.enabled.mechanisms":                "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
	})
	plain := "org.apache.kafka.common.security.plain.PlainLoginModule required"
	for _, u := range s.Users {
		plain += fmt.Sprintf(" user_%s=%q", u.Name, u.Password)
	}
	p["listener.name.sasl_ssl.plain.sasl.jaas.config"] = plain + ";"
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		p["listener.name.sasl_ssl."+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
	if s.Authorize {
		super := "User:ANONYMOUS"
		for _, name := range s.Super {
			super += ";User:" + name
		}
		p["authorizer.class.name"], p["super.users"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer", super
	}
}

// scram are the arguments that make the users when storage is formatted.
func (c *Cluster) scram() (arguments []string) {
	if c.options.Security == nil {
		return nil
	}
	for _, u := range c.options.Security.Users {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			arguments = append(arguments, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, u.Name, u.Password))
		}
	}
	return arguments
}

// propertiesText is a map as Java reads it. Backslashes and line feeds do not occur but in
// patterns, where Java wants the former doubled.
func propertiesText(p map[string]string) []byte {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", key, strings.ReplaceAll(p[key], `\`, `\\`))
	}
	return []byte(b.String())
}
