// Package observe gives each request an id, a line in the log, and a place in the metrics that
// decide about a canary.
package observe

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StatusClientGone is the status under which a request counts when its client did not wait for the
// answer.
const StatusClientGone = 499

// Requests counts and logs what users ask for.
type Requests struct {
	logger   *slog.Logger
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	// ignored are patterns of the mux, such as "GET /metrics", that are not user traffic.
	ignored []string
}

// NewRequests registers the metrics. Requests that match one of the patterns in ignored are neither
// counted nor logged: an analysis must judge user traffic only, and probes would hide failures.
func NewRequests(registry prometheus.Registerer, logger *slog.Logger, ignored ...string) *Requests {
	r := &Requests{
		logger: logger, ignored: ignored,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gridos_http_requests_total", Help: "Requests of users by method, route and status code.",
		}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gridos_http_request_duration_seconds", Help: "Time until a request was answered.",
			// Close together around the limits of an analysis, 250 and 500 ms, since a quantile is
			// interpolated.
			Buckets: []float64{.005, .01, .025, .05, .1, .15, .2, .25, .3, .4, .5, .75, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
	}
	registry.MustRegister(r.total, r.duration)
	return r
}

// details are the facts about a request that are not in the request itself, and its ids.
type details struct{ id, transaction, sender string }

type detailsKey struct{}

var acceptableID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// transactionHeader has the id under which the Application Gateway logs the request, as
// TransactionId. Source: azure-docs, application-gateway/how-application-gateway-works, 1 May 2024.
const transactionHeader = "X-Appgw-Trace-Id"

// ID is the id of the request that the context belongs to.
func ID(ctx context.Context) string {
	if known, inside := ctx.Value(detailsKey{}).(*details); inside {
		return known.id
	}
	return ""
}

// SetSender notes who sends the request that the context belongs to, for the log.
func SetSender(ctx context.Context, sender string) {
	if known, inside := ctx.Value(detailsKey{}).(*details); inside {
		known.sender = sender
	}
}

// Handler gives each request an id (its own X-Request-Id, if it has a sensible one), answers 500 to
// one whose handler panics, and counts and logs it when it is done. The mesh logs the same id, and
// the Application Gateway the one that is logged as transaction. Routes are the patterns of the mux
// that next is.
func (r *Requests) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		began := time.Now()
		id := request.Header.Get("X-Request-Id")
		if !acceptableID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		known := &details{id: id}
		if transaction := request.Header.Get(transactionHeader); acceptableID.MatchString(transaction) {
			known.transaction = transaction
		}
		request = request.WithContext(context.WithValue(request.Context(), detailsKey{}, known))
		answer := &recorder{ResponseWriter: w}
		defer func() {
			panicked := recover()
			if panicked != nil && panicked != http.ErrAbortHandler { //nolint:errorlint // the value, as net/http compares it
				r.logger.Error("a handler panicked", "request", id, "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
				if answer.code == 0 {
					http.Error(answer, "internal error", http.StatusInternalServerError)
				} else {
					answer.code = http.StatusInternalServerError // and the client sees a cut answer
					defer panic(http.ErrAbortHandler)
				}
			}
			if !slices.Contains(r.ignored, request.Pattern) {
				r.done(request, answer, time.Since(began))
			}
			if panicked == http.ErrAbortHandler { //nolint:errorlint // the value, as net/http compares it
				panic(panicked)
			}
		}()
		next.ServeHTTP(answer, request)
	})
}

func (r *Requests) done(request *http.Request, answer *recorder, took time.Duration) {
	code := answer.code
	if code == 0 {
		code = http.StatusOK
	}
	method, route := label(request)
	r.total.WithLabelValues(method, route, strconv.Itoa(code)).Inc()
	r.duration.WithLabelValues(method, route).Observe(took.Seconds())
	level := slog.LevelDebug
	switch {
	case code >= 500:
		level = slog.LevelError
	case code >= 400:
		level = slog.LevelInfo
	}
	attributes := []any{
		"request", ID(request.Context()), "method", method, "route", route,
		"path", request.URL.Path, "code", code, "bytes", answer.bytes, "duration", took.Seconds(),
	}
	if known, inside := request.Context().Value(detailsKey{}).(*details); inside {
		for _, detail := range []struct{ key, value string }{{"transaction", known.transaction}, {"sender", known.sender}} {
			if detail.value != "" {
				attributes = append(attributes, detail.key, detail.value)
			}
		}
	}
	r.logger.Log(request.Context(), level, "request", attributes...)
}

// label keeps clients from creating metrics: all requests without a route count together.
func label(request *http.Request) (method, route string) {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions:
		method = request.Method
	default:
		method = "other"
	}
	_, route, found := strings.Cut(request.Pattern, " ")
	if !found {
		route = request.Pattern
	}
	if route == "" {
		route = "other"
	}
	return method, route
}

// recorder remembers the status and the size of the answer.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= 200 {
		r.code = code
	}
	if code == StatusClientGone {
		code = http.StatusServiceUnavailable // the client is gone, and 499 is not a registered code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(content []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(content)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
