package gap

// A Place is where a group left a partition.
type Place struct {
	Group     string
	Topic     string
	Partition int32
	Next      int64  // offset of the next record to read; negative: nothing is committed
	Of        uint32 // fingerprint of the topic that the group has read, 0 = not known
	Time      int64  // append time up to which it has read, Unix ms, 0 = not known
}

// Resume says where the group reads on. Where that is not where it left the partition,
// the gap says why.
func (p Place) Resume(log Log) (from int64, missing *Gap) {
	switch {
	case p.Of != 0 && log.Topic != 0 && p.Of != log.Topic:
		return log.Start, &Gap{Place: p, Log: log, Kind: Recreated}
	case p.Next < 0:
		return log.Start, nil
	case p.Next < log.Start:
		return log.Start, &Gap{Place: p, Log: log, Kind: Expired}
	case p.Next > log.End:
		return log.Start, &Gap{Place: p, Log: log, Kind: Cut}
	}
	return p.Next, nil
}
