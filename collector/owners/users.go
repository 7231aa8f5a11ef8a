package owners

import (
	"os/user"
	"strconv"
	"time"
)

// lookUpWithin is how long a directory of users (LDAP, SSSD) may take to answer.
const lookUpWithin = 500 * time.Millisecond

// names knows the names of users.
type names struct {
	lookup func(uid string) (*user.User, error)
	known  map[int]string
	asked  map[int]chan string // answers that were not waited for
}

func newNames() *names {
	return &names{lookup: user.LookupId, known: map[int]string{}, asked: map[int]chan string{}}
}

// name of a user, the number where there is none or the directory does not
// answer in time; a late answer serves the next time.
func (n *names) name(uid int) string {
	if name, ok := n.known[uid]; ok {
		return name
	}
	answer, asked := n.asked[uid]
	if !asked {
		answer = make(chan string, 1)
		n.asked[uid] = answer
		go n.ask(uid, answer)
	}
	name, ok := within(lookUpWithin, answer, asked)
	if !ok {
		return strconv.Itoa(uid)
	}
	delete(n.asked, uid)
	n.known[uid] = name
	return name
}

// within waits for an answer, but not a second time for one that it has waited
// for before.
func within(d time.Duration, answer <-chan string, before bool) (string, bool) {
	if before {
		select {
		case name := <-answer:
			return name, true
		default:
			return "", false
		}
	}
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case name := <-answer:
		return name, true
	case <-late.C:
		return "", false
	}
}

func (n *names) ask(uid int, answer chan<- string) {
	name := strconv.Itoa(uid)
	if u, err := n.lookup(name); err == nil && u.Username != "" {
		name = clean(u.Username)
	}
	answer <- name
}
