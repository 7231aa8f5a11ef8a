package replay

import "testing"

func TestPeakMemoryCountsThisProcess(t *testing.T) {
	if got := peakMemory(); got != 0 && got < 1<<20 {
		t.Errorf("%d bytes", got)
	}
}
