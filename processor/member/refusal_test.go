package member

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Brokers say the same of a transaction that was open for too long and of one that
// another process of the name has ended. The first is worth another try.
func TestExpiredIsNotFenced(t *testing.T) {
	for _, c := range []struct {
		err     error
		age     time.Duration
		retry   bool
		says    string
		unknown bool // what no one here has an opinion of stays as it is
	}{
		{kerr.InvalidProducerEpoch, 2 * time.Minute, true, "longer than transaction.timeout", false},
		{kerr.InvalidTxnState, 2 * time.Minute, true, "longer than transaction.timeout", false},
		{kerr.ProducerFenced, 2 * time.Minute, true, "longer than transaction.timeout", false},
		{kerr.InvalidProducerEpoch, time.Second, false, "also called twin in group g", false},
		{kerr.ProducerFenced, time.Second, false, "also called twin in group g", false},
		{kerr.InvalidProducerIDMapping, time.Second, true, "forgotten this member", false},
		{kerr.NotLeaderForPartition, 2 * time.Minute, true, "", true},
		{kerr.TopicAuthorizationFailed, 2 * time.Minute, false, "", true},
		{io.ErrUnexpectedEOF, time.Second, true, "", true},
	} {
		m := &Member{cfg: Config{Group: "g", Instance: "twin", Timeout: time.Minute}, began: time.Now().Add(-c.age)}
		wrapped := fmt.Errorf("ending a transaction: %w", c.err)
		err := m.judge(wrapped)
		if Retry(err) != c.retry || !strings.Contains(err.Error(), c.says) || !errors.Is(err, c.err) || c.unknown && !errors.Is(wrapped, err) {
			t.Errorf("%v after %v: %v, retry %t", c.err, c.age, err, Retry(err))
		}
	}
}
