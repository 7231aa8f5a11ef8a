package kafka

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Listener is a way into a node, by Kafka's name.
type Listener string

const (
	// Plaintext asks for nothing.
	Plaintext Listener = "PLAINTEXT"
	// SASLSSL is TLS with a password: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	SASLSSL Listener = "SASL_SSL"
	// SSL is TLS with a client's certificate. Its common name is the user.
	SSL Listener = "SSL"
)

// Listeners of the nodes among themselves.
const (
	internal   Listener = "INTERNAL"
	controller Listener = "CONTROLLER"
)

// Options of a cluster. Dir is required.
type Options struct {
	Dir      string            // for data, logs and certificates; empty or missing
	Nodes    int               // 1 (also if 0) or 3
	Security *Security         // nil = only Plaintext
	Settings map[string]string // of server.properties, over those of this package
	Features map[string]int    // levels other than this Kafka's own, as transaction.version: 1
	HeapMB   int               // of each node; 0 = 256

	// More are names of listeners like Plaintext, each with an address of its own:
	// a proxy may stand before one and not before another.
	More []Listener

	// Advertise, when given, says what a node tells clients of a listener of
	// theirs: the address of a proxy before listen. It is called for each before
	// the nodes start. What the nodes say to each other goes past it.
	Advertise func(node int, l Listener, listen string) string
}

// Security adds the listeners SASLSSL and SSL.
type Security struct {
	Users []User // who may come in by SASLSSL

	// Authorize denies everything to everybody but the super users, until an
	// access control list allows it. Who comes in by Plaintext is a super user:
	// so are the nodes.
	Authorize bool
	Super     []string // names of further super users
}

// A User has a password.
type User struct{ Name, Password string }

// validate fills in the defaults and gives the first thing that is wrong.
func (o Options) validate() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("kafka: no directory given")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, fmt.Errorf("kafka: directory: %w", err)
	}
	if there, err := os.ReadDir(o.Dir); err == nil && len(there) > 0 {
		return o, fmt.Errorf("kafka: directory %s is not empty: nodes start from nothing", o.Dir)
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Nodes != 1 && o.Nodes != 3 {
		return o, fmt.Errorf("kafka: %d nodes: 1 and 3 make a majority that is worth its memory", o.Nodes)
	}
	if o.HeapMB == 0 {
		o.HeapMB = 256
	}
	if o.Security == nil {
		return o, nil
	}
	for _, u := range o.Security.Users {
		// They are written into Kafka's own little languages.
		if u.Name == "" || u.Password == "" || strings.ContainsAny(u.Name+u.Password, "\"\\,;=[]\n ") {
			return o, fmt.Errorf("kafka: user %q: name and password must not be empty nor contain quotes, spaces or any of \\,;=[]", u.Name)
		}
	}
	return o, nil
}

// listeners are those of clients.
func (o Options) listeners() []Listener {
	all := append([]Listener{Plaintext}, o.More...)
	if o.Security == nil {
		return all
	}
	return append(all, SASLSSL, SSL)
}
