package schemas

// Why a record is a dead letter. The first group refuses one: it does not exist
// for the ledger. The second reports one: it is kept and counts as soon as what
// it lacks comes.
const (
	ReasonBadJSON      = "bad_json"      // the line is not one JSON object in UTF-8
	ReasonBadRow       = "bad_row"       // the CSV row or header does not fit its table
	ReasonBadField     = "bad_field"     // a field is missing, of another type, or not one of its values
	ReasonBadTime      = "bad_time"      // an instant cannot be read, or is before 2010 or more than 10 minutes later than its record
	ReasonBadNumber    = "bad_number"    // a number cannot be read or is out of its range
	ReasonBadShare     = "bad_share"     // a share is not in (0, 1], or a slice has none
	ReasonUnknownEvent = "unknown_event" // an allocation event is not start, update or end
	ReasonTooLong      = "too_long"      // a line is longer than 1 MiB
	ReasonTruncated    = "truncated"     // a file ends in the middle of its last line
	ReasonCorrupt      = "corrupt"       // the bytes of a Kafka record are damaged or not of this stream
	ReasonRefused      = "refused"       // the brokers never take a record that the collector made: it is too large for its topic, say
	ReasonTooLate      = "too_late"      // the event is older than what the processor keeps
	ReasonQuarantined  = "quarantined"   // the process ended twice while it read this record; it is passed over
	ReasonGap          = "gap"           // records went before they were read: they expired, or their topic was recreated

	ReasonNoStart       = "no_start"       // an allocation has an update or end but no start
	ReasonNoResource    = "no_resource"    // a GPU that samples or holds name is on no resource
	ReasonPriceConflict = "price_conflict" // two different prices were known at one instant
)

// MaxPayload is how many bytes of the offending record a dead letter repeats.
const MaxPayload = 64 << 10
