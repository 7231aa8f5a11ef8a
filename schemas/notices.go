package schemas

// What a message says when it is sent: the finding is an alert, or it is over.
const (
	NoticeAlert    = "alert"
	NoticeResolved = "resolved"
)

// How far a message is.
const (
	NoticePosting = "posting" // about to be sent: what came of it is not known until the next record
	NoticePosted  = "posted"  // delivered
	NoticeRefused = "refused" // refused for what it says; it is not tried again
	NoticeSkipped = "skipped" // over before anybody was there to tell it
)

// A Notice records a step of telling people about one finding, around the
// step: posting before the message is sent, posted after it was delivered. It
// lies in the partition that the finding has in its topic, so that whoever is
// given that partition knows what was said. Messages that are replaced in place
// need no posting: doing it twice shows once.
type Notice struct {
	Finding  string `col:"finding" doc:"id of the finding"`
	Revision int64  `col:"revision" doc:"revision that the message shows"`
	Status   string `col:"status" doc:"status that the message shows: open or resolved"`
	What     string `col:"what" doc:"why it was sent: alert or resolved"`
	State    string `col:"state" doc:"posting, posted, refused or skipped"`
	Post     string `col:"post" doc:"id of the message, which its metadata hold too; findings of one digest share it"`
	Members  int64  `col:"members" doc:"findings that the message tells about; more than one: a digest"`
	Channel  string `col:"channel" doc:"channel it is in, empty while posting and behind a webhook"`
	Message  string `col:"message" doc:"its timestamp there, by which it can be replaced; empty while posting and behind a webhook"`
}
