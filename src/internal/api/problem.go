package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gridos/sharedinfra/src/internal/observe"
	"github.com/gridos/sharedinfra/src/internal/store"
	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// problem is an error in the form of RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong and what would be right.
	Detail string `json:"detail"`
	// Mistakes are the mistakes in the request, if there may be several.
	Mistakes []string `json:"mistakes,omitempty"`
	// Request is the id under which the log has more.
	Request string `json:"request"`

	// challenge is the header WWW-Authenticate, which a 401 must have (RFC 9110, 15.5.2; its
	// parameters: RFC 6750, 3).
	challenge string
	// retryAfter is when the same request may succeed; 0 where that is not known.
	retryAfter time.Duration
}

func (p problem) Error() string { return p.Detail }

func refuse(status int, detail string) error { return problem{Status: status, Detail: detail} }

// fail answers with an error. Internal causes go to the log, not to the client.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	var mistakes *telemetry.Mistakes
	switch {
	case errors.As(err, &p):
	case errors.As(err, &mistakes):
		p = problem{Status: http.StatusUnprocessableEntity, Detail: mistakes.Error(), Mistakes: mistakes.List}
	case errors.Is(err, store.ErrNoPoint):
		p = problem{Status: http.StatusNotFound, Detail: err.Error()}
	case errors.Is(err, store.ErrKindChanged):
		p = problem{Status: http.StatusConflict, Detail: err.Error()}
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		w.WriteHeader(observe.StatusClientGone)
		return
	case store.Unavailable(err):
		a.logger.Log(r.Context(), slog.LevelWarn, "the database is not available", "request", observe.ID(r.Context()), "error", err)
		p = problem{
			Status: http.StatusServiceUnavailable, retryAfter: 2 * time.Second,
			Detail: "the database is not available; try again in a moment",
		}
	default:
		a.logger.Log(r.Context(), slog.LevelError, "a request failed", "request", observe.ID(r.Context()), "error", err)
		p = problem{Status: http.StatusInternalServerError, Detail: "something went wrong inside; the log has more under this request's id"}
	}
	p.Title, p.Request = http.StatusText(p.Status), observe.ID(r.Context())
	w.Header().Set("Content-Type", "application/problem+json")
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	a.write(w, r, p.Status, p)
}

// write answers in JSON. A client that has gone away is not worth an error.
func (a *API) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	content, err := json.Marshal(body)
	if err != nil {
		a.logger.Error("an answer cannot be written as JSON", "request", observe.ID(r.Context()), "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(append(content, '\n')); err != nil {
		a.logger.Debug("the client did not wait for the answer", "request", observe.ID(r.Context()), "error", err)
	}
}
