package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/heraldpush/herald/provider/account"
)

// mediaBinary is the media type of an age file.
const mediaBinary = "application/octet-stream"

// backupTimeout is how long a backup may take: it is copied, and then read over the
// network.
const backupTimeout = 30 * time.Minute

// Backup is a backup that was begun.
type Backup struct {
	// Write writes it, once. It is whole only without an error.
	Write func(ctx context.Context, w io.Writer) error
	// Done gives back the room that it takes, written or not.
	Done func() error
}

// backupRequest says to whom a backup is encrypted.
type backupRequest struct {
	Recipients []string `json:"recipients" about:"age recipients, such as age1…: at least one, as a backup has private keys in it."`
}

func backupOperations() []operation {
	return []operation{{
		id: "makeBackup", method: http.MethodPost, path: "/v1/backup", group: "backup",
		summary: "Make a backup",
		about: "All there is, with private keys and messages that have not ended: an age file for the recipients, of which `herald provider restore` makes a folder. " +
			"One is made at a time. It is whole if the answer is.",
		scope: account.ScopeAdmin, in: takes[backupRequest](0), timeout: backupTimeout,
		out: []outcome{{
			status: http.StatusOK, about: "The backup.",
			content: content{media: mediaBinary, form: schema{"type": "string", "contentMediaType": mediaBinary}},
		}},
		run: func(a *API, ctx context.Context, q *request) (answer, error) {
			if a.backup == nil {
				return answer{}, newProblem(CodeNotFound, "this provider makes no backups")
			}
			var in backupRequest
			if err := q.decode(&in); err != nil {
				return answer{}, err
			}
			b, err := a.backup(ctx, in.Recipients)
			if err != nil {
				return answer{}, err
			}
			return answer{status: http.StatusOK, body: b, media: mediaBinary}, nil
		},
	}}
}

// stream writes an answer as it comes. One that cannot be made whole is cut short, so
// that whoever reads it learns of that.
func (a *API) stream(w http.ResponseWriter, r *http.Request, out rendered) {
	w.Header().Set("Content-Type", out.media)
	w.WriteHeader(out.status)
	noteStatus(r.Context(), out.status)
	err := out.stream.Write(r.Context(), w)
	if err := errors.Join(err, out.stream.Done()); err != nil {
		a.log.ErrorContext(r.Context(), "backup failed", slog.String("request", w.Header().Get("Request-Id")), errorAttr(err))
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}
