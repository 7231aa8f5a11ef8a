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
	answer, waiting := n.asked[uid]
	if !waiting {
		answer = make(chan string, 1)
		n.asked[uid] = answer
		go func() {
			name := strconv.Itoa(uid)
			if u, err := n.lookup(name); err == nil && u.Username != "" {
				name = u.Username
			}
			answer <- name
		}()
	}
	late := time.NewTimer(lookUpWithin)
	defer late.Stop()
	select {
	case name := <-answer:
		delete(n.asked, uid)
		n.known[uid] = name
		return name
	case <-late.C:
		return strconv.Itoa(uid)
	}
}
