package example

import (
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

const sqlDoc = "../../docs/sql.md"

var rewrite = flag.Bool("rewrite", false, "write today's results of the queries into docs/sql.md")

// A worked query is one section of the document.
type worked struct {
	title, answers, sql string
	table               string // the result, as a table of Markdown with a line feed at its end
	from, to            int    // the bytes of the document that hold the result
}

// document finds the worked queries: heading, answer, SQL, result.
func document(text string) []worked {
	section := regexp.MustCompile("(?m)^## (.+)\n((?s:.+?))\n\n```sql\n((?s:.+?))\n```\n((?:\n(?:\\|.*\n)+)?)")
	var all []worked
	for _, m := range section.FindAllStringSubmatchIndex(text, -1) {
		part := func(i int) string { return text[m[2*i]:m[2*i+1]] }
		all = append(all, worked{title: part(1), answers: part(2), sql: part(3), table: strings.TrimPrefix(part(4), "\n"), from: m[8], to: m[9]})
	}
	return all
}

// ask is the result of a query as a table of Markdown.
func ask(t *testing.T, url, sql string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/?default_format=Markdown", strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", body, sql)
	}
	return strings.ReplaceAll(string(body), `| \N `, "| NULL ")
}

// Every query of docs/sql.md runs on the night and gives the result that the
// document shows.
func TestWorkedQueriesGiveWhatTheDocumentShows(t *testing.T) {
	text, err := os.ReadFile(sqlDoc)
	if err != nil {
		t.Fatal(err)
	}
	url, _ := ledger(t)
	queries := document(string(text))
	now := string(text)
	for i := len(queries) - 1; i >= 0; i-- { // from the end: a rewrite moves what follows
		q := queries[i]
		t.Run(q.title, func(t *testing.T) {
			got := ask(t, url, q.sql)
			now = now[:q.from] + "\n" + got + now[q.to:]
			if strings.Count(got, "\n") < 3 {
				t.Errorf("the night has no row for it:\n%s", got)
			}
			if got != q.table && !*rewrite {
				t.Errorf("got\n%s\nthe document shows\n%s\nif the new one is right: go test ./deploy/example -rewrite", got, q.table)
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(sqlDoc, []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The document keeps the habits that it asks for.
func TestWorkedQueriesKeepTheHabits(t *testing.T) {
	text, err := os.ReadFile(sqlDoc)
	if err != nil {
		t.Fatal(err)
	}
	queries := document(string(text))
	if blocks := strings.Count(string(text), "```sql"); len(queries) != blocks || blocks < 10 {
		t.Fatalf("%d queries in sections of %d blocks of SQL, want at least ten, each under a heading and an answer", len(queries), blocks)
	}
	reads := regexp.MustCompile(`FROM gpumeter\.cost(_history)?\b`)
	prunes := regexp.MustCompile(`WHERE window >= '[^']+' AND window < '[^']+'`)
	for _, q := range queries {
		if n := len(reads.FindAllString(q.sql, -1)); n != len(prunes.FindAllString(q.sql, -1)) {
			t.Errorf("%s: not every read of cost is bounded by window", q.title)
		}
		if regexp.MustCompile(`sum(If)?\((list|effective|used|waste|burnt)_cost`).MatchString(q.sql) && strings.Contains(q.sql, "GROUP BY") && !strings.Contains(q.sql, "currency") {
			t.Errorf("%s: money of several currencies is summed", q.title)
		}
		if q.table == "" {
			t.Errorf("%s: no result is shown", q.title)
		}
	}
}
