// Package api is the service's HTTP interface under /api/v1: define substations, send samples, read
// the latest values and the history. docs/service.md describes it for its users.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gridos/sharedinfra/src/internal/access"
	"github.com/gridos/sharedinfra/src/internal/alarm"
	"github.com/gridos/sharedinfra/src/internal/observe"
	"github.com/gridos/sharedinfra/src/internal/store"
	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

const (
	maxBody = 1 << 20 // 5,000 samples take about 600 kB
	// timeout ends a request that waits for the database, before clients and gateways give up by
	// themselves.
	timeout = 8 * time.Second

	defaultWindow  = time.Hour
	defaultBuckets = 300
)

// API serves /api/v1.
type API struct {
	// Store keeps the telemetry.
	store     *store.Store
	retention time.Duration
	access    Access
	logger    *slog.Logger
	now       func() time.Time
	samples   *prometheus.CounterVec
}

// Access decides whose requests are answered.
type Access struct {
	// Tokens are the valid tokens; a request that writes must have one.
	Tokens access.Tokens
	// Networks are those from which requests may read.
	Networks access.Networks
	// Limiter bounds how many requests each sender and each client address may send.
	Limiter *access.Limiter
}

// New returns the API on a store that keeps samples for retention.
func New(s *store.Store, retention time.Duration, guard Access, registry prometheus.Registerer, logger *slog.Logger) *API {
	a := &API{
		store: s, retention: retention, access: guard, logger: logger, now: time.Now,
		samples: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gridos_samples_total", Help: "Samples that were ingested, by whether they were new.",
		}, []string{"result"}),
	}
	registry.MustRegister(a.samples)
	return a
}

// Register adds the routes to the mux.
func (a *API) Register(mux *http.ServeMux) {
	mux.Handle("GET /api/v1/substations", a.ReadOnly(http.HandlerFunc(a.latest)))
	mux.HandleFunc("PUT /api/v1/substations/{substation}", a.define)
	mux.Handle("GET /api/v1/substations/{substation}/points/{point}/series", a.ReadOnly(http.HandlerFunc(a.series)))
	mux.HandleFunc("POST /api/v1/telemetry", a.ingest)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, refuse(http.StatusNotFound, "there is nothing at "+r.Method+" "+r.URL.EscapedPath()))
	})
}

// Point is a point in the answers of the API.
type Point struct {
	telemetry.Point
	Unit   string   `json:"unit"`
	States []string `json:"states,omitempty"`
	// Value and At are null until the first sample has arrived.
	Value      *float64    `json:"value"`
	At         *time.Time  `json:"at"`
	Alarm      alarm.State `json:"alarm"`
	AlarmSince *time.Time  `json:"alarmSince,omitempty"`
	// Stale says that the value is too old to be trusted.
	Stale bool `json:"stale"`
}

// Substation is a substation in the answers of the API.
type Substation struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Region string  `json:"region"`
	Points []Point `json:"points"`
}

// Latest is the answer to GET /api/v1/substations.
type Latest struct {
	// At is the time of the service.
	At          time.Time    `json:"at"`
	Substations []Substation `json:"substations"`
}

func (a *API) latest(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	all, err := a.store.Latest(ctx)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	now := a.now().UTC()
	answer := Latest{At: now, Substations: make([]Substation, len(all))}
	for i, s := range all {
		points := make([]Point, len(s.Points))
		for j, p := range s.Points {
			points[j] = Point{
				Point: p.Point, Unit: p.Kind.Unit(), States: p.Kind.States(), Value: p.Value, At: p.At,
				Alarm: p.Alarm, AlarmSince: p.AlarmSince, Stale: p.At == nil || now.Sub(*p.At) > telemetry.StaleAfter,
			}
		}
		answer.Substations[i] = Substation{ID: s.ID, Name: s.Name, Region: s.Region, Points: points}
	}
	a.write(w, r, http.StatusOK, answer)
}

func (a *API) define(w http.ResponseWriter, r *http.Request) {
	var substation telemetry.Substation
	err := a.mayWrite(r)
	if err == nil {
		err = decode(w, r, &substation)
	}
	if err == nil {
		if substation.ID != "" && substation.ID != r.PathValue("substation") {
			err = refuse(http.StatusUnprocessableEntity, "id is not the one in the address; leave it out")
		} else {
			substation.ID = r.PathValue("substation")
			err = substation.Check()
		}
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		err = a.store.Define(ctx, substation)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.write(w, r, http.StatusOK, substation)
}

// batch is the body of POST /api/v1/telemetry.
type batch struct {
	Samples []telemetry.Sample `json:"samples"`
}

// Receipt is the answer to POST /api/v1/telemetry.
type Receipt struct {
	// Stored are the samples that were new, Duplicates those that were already there.
	Stored     int `json:"stored"`
	Duplicates int `json:"duplicates"`
}

func (a *API) ingest(w http.ResponseWriter, r *http.Request) {
	var sent batch
	var stored int
	err := a.mayWrite(r)
	if err == nil {
		err = decode(w, r, &sent)
	}
	if err == nil {
		err = telemetry.CheckSamples(sent.Samples, a.now(), a.retention)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		stored, err = a.store.Ingest(ctx, sent.Samples)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	receipt := Receipt{Stored: stored, Duplicates: len(sent.Samples) - stored}
	a.samples.WithLabelValues("stored").Add(float64(receipt.Stored))
	a.samples.WithLabelValues("duplicate").Add(float64(receipt.Duplicates))
	a.write(w, r, http.StatusOK, receipt)
}

// Series is the history of a point.
type Series struct {
	telemetry.Ref
	telemetry.Point
	Unit   string    `json:"unit"`
	States []string  `json:"states,omitempty"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// BucketSeconds is the width of a bucket.
	BucketSeconds float64        `json:"bucketSeconds"`
	Buckets       []store.Bucket `json:"buckets"`
}

func (a *API) series(w http.ResponseWriter, r *http.Request) {
	ref := telemetry.Ref{Substation: r.PathValue("substation"), Point: r.PathValue("point")}
	from, to, width, err := a.window(r)
	if err == nil {
		err = errors.Join(telemetry.CheckIdentifier("substation", ref.Substation), telemetry.CheckIdentifier("point", ref.Point))
		if err != nil {
			err = refuse(http.StatusBadRequest, err.Error())
		}
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	point, buckets, err := a.store.Series(ctx, ref, from, to, width)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.write(w, r, http.StatusOK, Series{
		Ref: ref, Point: point, Unit: point.Kind.Unit(), States: point.Kind.States(),
		From: from, To: to, BucketSeconds: width.Seconds(), Buckets: buckets,
	})
}

// window reads the requested part of the history: either from and to, or the last window until now.
func (a *API) window(r *http.Request) (from, to time.Time, width time.Duration, err error) {
	query := r.URL.Query()
	wrong := func(format string, arguments ...any) (time.Time, time.Time, time.Duration, error) {
		return from, to, 0, refuse(http.StatusBadRequest, fmt.Sprintf(format, arguments...))
	}
	for name := range query {
		switch name {
		case "from", "to", "window", "buckets":
		default:
			return wrong("parameter %.40q is not known; use from, to, window and buckets", name)
		}
	}
	window := defaultWindow
	if text := query.Get("window"); text != "" {
		if query.Has("from") || query.Has("to") {
			return wrong("window cannot go with from and to; use one or the other")
		}
		if window, err = time.ParseDuration(text); err != nil {
			return wrong("window %.40q is no duration; use something like 15m or 24h", text)
		}
	}
	to = a.now().UTC().Truncate(time.Second)
	if text := query.Get("to"); text != "" {
		if to, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return wrong("to %.40q is no time; use RFC 3339, such as 2026-03-01T12:00:00Z", text)
		}
	}
	from = to.Add(-window)
	if text := query.Get("from"); text != "" {
		if from, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return wrong("from %.40q is no time; use RFC 3339, such as 2026-03-01T12:00:00Z", text)
		}
	}
	if length := to.Sub(from); length <= 0 || length > telemetry.MaxRange {
		return wrong("the range is %v long; use more than 0 and up to %v", length, telemetry.MaxRange)
	}
	if to.Year() < 1970 || from.Year() < 1970 || to.Year() > 9999 {
		return wrong("the range is outside of what can be; use years from 1970")
	}
	buckets := defaultBuckets
	if text := query.Get("buckets"); text != "" {
		if buckets, err = strconv.Atoi(text); err != nil || buckets < 1 || buckets > telemetry.MaxBuckets {
			return wrong("buckets is %.40q; use 1 to %d", text, telemetry.MaxBuckets)
		}
	}
	return from, to, bucketWidth(to.Sub(from), buckets), nil
}

// bucketWidth returns the least number of whole seconds with which a range needs at most so many
// buckets.
func bucketWidth(length time.Duration, buckets int) time.Duration {
	width := length / time.Duration(buckets)
	if remainder := width % time.Second; remainder != 0 || width == 0 {
		width += time.Second - remainder
	}
	return width
}

// ReadOnly answers with next to clients in the networks that may read.
func (a *API) ReadOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := a.access.Networks.Client(r)
		if err := a.limit(access.Network(client)); err != nil {
			a.fail(w, r, err)
			return
		}
		if !a.access.Networks.MayRead(client) {
			a.fail(w, r, refuse(http.StatusForbidden,
				fmt.Sprintf("the address %v may not read; use a network that may, or ask for yours to be added (READ_NETWORKS)", client)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mayWrite refuses a request without a sender's token, if there are tokens, and records the sender.
func (a *API) mayWrite(r *http.Request) error {
	address := access.Network(a.access.Networks.Client(r))
	sender, err := a.access.Tokens.Sender(r.Header.Get("Authorization"))
	switch {
	case errors.Is(err, access.ErrNoToken), errors.Is(err, access.ErrWrongToken):
		if limited := a.limit(address); limited != nil {
			return limited
		}
		if errors.Is(err, access.ErrNoToken) {
			return problem{
				Status: http.StatusUnauthorized, challenge: `Bearer realm="gridos"`,
				Detail: "writing needs the token of a sender; send it as Authorization: Bearer …",
			}
		}
		return problem{
			Status: http.StatusUnauthorized, challenge: `Bearer realm="gridos", error="invalid_token"`,
			Detail: "the token is not valid any more, or never was; ask for the sender's present one",
		}
	case err != nil:
		return err
	}
	observe.SetSender(r.Context(), sender)
	if sender == access.AnySender { // no name: many senders may share it
		return a.limit(address)
	}
	return a.limit("sender " + sender)
}

// limit refuses a request of a client that sends too many.
func (a *API) limit(client string) error {
	wait, allowed := a.access.Limiter.Take(client, a.now())
	if allowed {
		return nil
	}
	return problem{
		Status: http.StatusTooManyRequests, retryAfter: wait,
		Detail: "there are too many requests from this client; send fewer, with more samples in each",
	}
}

// decode reads the one JSON value that a request consists of, of bounded size and without unknown
// fields.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "the body is not declared as JSON; send Content-Type: application/json")
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return refuse(http.StatusUnsupportedMediaType, "the body is compressed; send it as it is")
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("there is more after the first JSON value")
		}
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is larger than %d bytes; send smaller batches", tooLarge.Limit))
	}
	return refuse(http.StatusBadRequest, fmt.Sprintf("the body is not what was expected: %.200s", err))
}
