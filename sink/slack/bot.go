package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/gpumeter/gpumeter/sink/notify"
)

// A bot posts with a token, replaces what it has posted, and finds it again by
// the id in its metadata.
type bot struct {
	api     *slackgo.Client
	token   string
	channel string
	link    Link
	timeout time.Duration
	client  *http.Client
}

// What the metadata of our messages hold.
const (
	eventType  = "gpumeter_notice"
	payloadID  = "id"
	payloadFor = "finding"
)

func (b *bot) options(m notify.Message) []slackgo.MsgOption {
	said := Render(m, b.link)
	payload := map[string]any{payloadID: m.ID}
	if len(m.Findings) == 1 {
		payload[payloadFor] = m.Findings[0].Finding
	}
	options := []slackgo.MsgOption{
		slackgo.MsgOptionText(said.Text, false),
		slackgo.MsgOptionParse(false),
		slackgo.MsgOptionDisableLinkUnfurl(),
		slackgo.MsgOptionDisableMediaUnfurl(),
		slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: eventType, EventPayload: payload}),
		// None when plain: an update would keep those that were there.
		slackgo.MsgOptionBlocks(said.Blocks...),
	}
	if !m.Under.Zero() && !m.Plain {
		options = append(options, slackgo.MsgOptionTS(m.Under.Message))
	}
	return options
}

// Post posts a message, as an answer where m says so.
func (b *bot) Post(ctx context.Context, m notify.Message) (notify.Ref, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	channel, ts, err := b.api.PostMessageContext(ctx, b.channel, b.options(m)...)
	if err == nil && ts == "" {
		err = errors.New("the answer names no message")
	}
	if err != nil {
		return notify.Ref{}, classify(err, b.token)
	}
	return notify.Ref{Channel: channel, Message: ts}, nil
}

// Edit replaces a message.
func (b *bot) Edit(ctx context.Context, at notify.Ref, m notify.Message) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	m.Under = notify.Ref{} // where it is, it stays
	_, _, _, err := b.api.UpdateMessageContext(ctx, at.Channel, at.Message, b.options(m)...)
	return classify(err, b.token)
}

// Bounds of a search. The clocks of Slack and of this machine may differ by the
// margin.
const (
	searchMargin = 10 * time.Minute
	searchPage   = 200
	searchPages  = 50
)

// Find looks for the message in the channel, or in the thread that it was to
// answer in.
func (b *bot) Find(ctx context.Context, m notify.Message, posted time.Time) (notify.Ref, bool, error) {
	oldest := fmt.Sprintf("%d.000000", posted.Add(-searchMargin).Unix())
	cursor := ""
	for range searchPages {
		messages, next, err := b.page(ctx, m.Under, oldest, cursor)
		var refused slackgo.SlackErrorResponse
		if errors.As(err, &refused) && refused.Err == "missing_scope" {
			return notify.Ref{}, false, notify.ErrCannotFind // the bot may post but not read
		}
		if err != nil {
			return notify.Ref{}, false, classify(err, b.token)
		}
		for i := range messages {
			if meta := messages[i].Metadata; meta.EventType == eventType && meta.EventPayload[payloadID] == m.ID {
				return notify.Ref{Channel: b.channel, Message: messages[i].Timestamp}, true, nil
			}
		}
		if cursor = next; cursor == "" {
			return notify.Ref{}, false, nil
		}
	}
	return notify.Ref{}, false, notify.ErrCannotFind
}

func (b *bot) page(ctx context.Context, under notify.Ref, oldest, cursor string) ([]slackgo.Message, string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if !under.Zero() {
		messages, _, next, err := b.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
			ChannelID: b.channel, Timestamp: under.Message, Oldest: oldest, Cursor: cursor, Limit: searchPage, IncludeAllMetadata: true,
		})
		return messages, next, err
	}
	history, err := b.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
		ChannelID: b.channel, Oldest: oldest, Cursor: cursor, Limit: searchPage, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err
	}
	return history.Messages, history.ResponseMetaData.NextCursor, nil
}

// Check asks Slack whom the token belongs to.
func (b *bot) Check(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	is, err := b.api.AuthTestContext(ctx)
	if err != nil {
		return "", classify(err, b.token)
	}
	return fmt.Sprintf("%s in %s, channel %s", clean(is.User, shortName), clean(is.Team, shortName), b.channel), nil
}

// Close gives connections back.
func (b *bot) Close() { b.client.CloseIdleConnections() }
