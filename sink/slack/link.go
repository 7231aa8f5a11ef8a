package slack

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Link makes the address of a page about a finding, a dashboard say. The zero
// value makes none.
type Link struct{ template string }

// ParseLink reads an address with {finding}, {allocation}, {node}, {user},
// {team}, {from} and {to} in it. The last two are Unix milliseconds around the
// finding, as Grafana takes them; {to} of an open one is now.
func ParseLink(template string) (Link, error) {
	if template == "" {
		return Link{}, nil
	}
	if strings.ContainsAny(template, "<>|\"'`\\ \t\r\n") {
		return Link{}, fmt.Errorf("slack.link: %q holds a character that no address has: write it as %%20 or the like", template)
	}
	l := Link{template}
	rest := l.URL(&schemas.Finding{})
	if u, err := url.Parse(rest); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return Link{}, fmt.Errorf("slack.link: %q is no http or https address", template)
	}
	if strings.ContainsAny(rest, "{}") {
		return Link{}, errors.New("slack.link: has a name in braces that is none of finding, allocation, node, user, team, from, to")
	}
	return l, nil
}

// linkMargin is shown before and after a finding.
const linkMargin = int64(15 * time.Minute / time.Millisecond)

// URL is the address for a finding, empty for the zero Link.
func (l Link) URL(f *schemas.Finding) string {
	if l.template == "" {
		return ""
	}
	to := "now"
	if isOver(f) {
		to = strconv.FormatInt(f.ResolvedAt+linkMargin, 10)
	}
	return strings.NewReplacer(
		"{finding}", url.QueryEscape(f.Finding),
		"{allocation}", url.QueryEscape(f.Allocation),
		"{node}", url.QueryEscape(f.Node),
		"{user}", url.QueryEscape(f.User),
		"{team}", url.QueryEscape(f.Team),
		"{from}", strconv.FormatInt(since(f)-linkMargin, 10),
		"{to}", to,
	).Replace(l.template)
}
