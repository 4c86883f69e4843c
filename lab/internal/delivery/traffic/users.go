package traffic

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// Revision is the users' experience with one revision of the service.
type Revision struct {
	// Hash is Argo Rollouts' hash of the revision, the value of the label
	// rollouts-pod-template-hash.
	Hash string
	// Tag is the tag of the image.
	Tag string
	// Requests is the number of answered requests. Failed is the number of those answered with
	// another code than 200, and Slow of those that took longer than half a second.
	Requests, Failed, Slow uint64
}

// Seen is the users' experience since the start; the difference of two is that of the time between.
type Seen struct {
	// Revisions are all revisions that answered, sorted by hash; those whose pods are gone are
	// included.
	Revisions []Revision
	// Unanswered is the number of requests that no pod answered.
	Unanswered uint64
	// LastFailure is the last request that failed or was not answered, and the beginning of its
	// answer.
	LastFailure string
}

const (
	// Enough is the number of requests that makes "none failed" meaningful.
	Enough = 100
	// slow is the time within which a request should be answered (docs/reliability.md).
	slow = 500 * time.Millisecond
	// patience is how long a user waits for the beginning of an answer. It is longer than the
	// service lets a request wait for the database.
	patience = 15 * time.Second
)

// Since returns the experience since before.
func (s Seen) Since(before Seen) (between Seen) {
	between.Unanswered = s.Unanswered - before.Unanswered
	if s.LastFailure != before.LastFailure {
		between.LastFailure = s.LastFailure
	}
	for _, revision := range s.Revisions {
		i := slices.IndexFunc(before.Revisions, func(r Revision) bool { return r.Hash == revision.Hash })
		if i >= 0 {
			revision.Requests -= before.Revisions[i].Requests
			revision.Failed -= before.Revisions[i].Failed
			revision.Slow -= before.Revisions[i].Slow
		}
		if revision.Requests > 0 {
			between.Revisions = append(between.Revisions, revision)
		}
	}
	return between
}

// Requests returns the number of all requests, and of those that were not answered or were answered
// with an error.
func (s Seen) Requests() (all, failed uint64) {
	all, failed = s.Unanswered, s.Unanswered
	for _, r := range s.Revisions {
		all, failed = all+r.Requests, failed+r.Failed
	}
	return all, failed
}

// Seen returns the users' experience since Start.
func (t *Traffic) Seen() Seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := Seen{Unanswered: t.unanswered, LastFailure: t.failure}
	for _, revision := range t.revisions {
		seen.Revisions = append(seen.Revisions, *revision)
	}
	slices.SortFunc(seen.Revisions, func(a, b Revision) int { return cmp.Compare(a.Hash, b.Hash) })
	return seen
}

const (
	// longestReason is how many bytes of an answer a user reads, which may say why a request failed.
	longestReason = 300
	// mostWaiting is how many requests are under way at once. On a machine that is too busy for the
	// rate there are fewer requests instead of ever more that wait.
	mostWaiting = 100
	// machines is the number of addresses that users have. The service and the firewall bound the
	// requests of each.
	machines = 20
	// substations and measured are what the field gateways send. Two batches of one substation at
	// once would wait for each other.
	substations = 20
	// backlog is the number of samples that a field gateway sends at once after an outage, and
	// backlogBytes how long the request is: the most that the service takes (docs/service.md). It
	// does so with one of backlogEvery requests.
	backlog      = 5000
	backlogBytes = 1 << 20
	backlogEvery = 2500
)

var measured = []struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	Kind string `json:"kind"`
	mean float64
}{
	{"busbar-voltage", "Busbar voltage", "voltage", 110}, {"frequency", "Frequency", "frequency", 50},
}

func substation(i uint64) string { return fmt.Sprintf("lab-%d", 1+i) }

// sample is a value of a point, as the API takes it.
type sample struct {
	Substation string    `json:"substation"`
	Point      string    `json:"point"`
	At         time.Time `json:"at"`
	Value      float64   `json:"value"`
}

// samples are a value of each point of a substation, at a moment.
func samples(of string, at time.Time) []sample {
	all := make([]sample, len(measured))
	for i, point := range measured {
		_, phase := math.Modf(float64(at.UnixMilli())/60_000 + float64(i)/10)
		all[i] = sample{of, point.Key, at.UTC(), math.Round(point.mean*(1+.002*math.Sin(2*math.Pi*phase))*1000) / 1000}
	}
	return all
}

// users are people with an open dashboard, and the field gateways of substations.
type users struct {
	*Traffic

	running context.Context //nolint:containedctx // it is the life of the users
	clients []*http.Transport
	sent    atomic.Uint64
	next    time.Duration // when the next request is due
	backlog []byte
}

// beginUsers sends requests until ctx is done; wait returns then.
func (t *Traffic) beginUsers(ctx context.Context) (wait func() error) {
	u := &users{Traffic: t, running: ctx}
	for i := range machines {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}}
		u.clients = append(u.clients, &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: 100, ResponseHeaderTimeout: patience,
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		u.run()
	}()
	return func() error {
		<-ended
		for _, client := range u.clients {
			client.CloseIdleConnections()
		}
		return nil
	}
}

// run defines the substations as soon as the service is there; then users come.
func (u *users) run() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for defined := uint64(0); defined < substations; {
		if u.define(substation(defined)) {
			defined++
			continue
		}
		select {
		case <-u.running.Done():
			return
		case <-ticker.C:
		}
	}
	if err := u.missed(); err != nil {
		utilruntime.HandleErrorWithContext(u.running, err, "traffic: there are no users")
		return
	}
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: u}), vegeta.MaxBody(longestReason), vegeta.MaxWorkers(mostWaiting))
	for result := range attacker.Attack(u.target, u, 0, "") {
		if u.running.Err() == nil { // else the request was cut short
			u.see(result)
		}
	}
}

// missed makes the samples that a field gateway sends after an outage, again and again the same.
func (u *users) missed() (err error) {
	var all []sample
	for at := time.Now(); len(all) < backlog; at = at.Add(-time.Second) {
		all = append(all, samples(substation(substations-1), at)...)
	}
	content, err := batch(all)
	// Names may be longer than those of the lab, so that spaces fill the request.
	u.backlog = append(content, bytes.Repeat([]byte(" "), max(backlogBytes-len(content), 0))...)
	return err
}

// define makes a substation with its points, and reports whether the service has taken it.
func (u *users) define(name string) bool {
	content, err := json.Marshal(map[string]any{"name": "Lab " + name, "region": "Lab", "points": measured})
	if err != nil {
		return false
	}
	request, err := http.NewRequestWithContext(u.running, http.MethodPut, u.URL()+"/api/v1/substations/"+name, bytes.NewReader(content))
	if err != nil {
		return false
	}
	request.Header = u.header()
	response, err := u.RoundTrip(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	return response.StatusCode == http.StatusOK
}

// target is the next request: of the senders of telemetry, and of open dashboards.
func (u *users) target(to *vegeta.Target) error {
	i := u.sent.Add(1)
	of := substation(i / 10 % (substations - 1)) // the last one has only its backlog
	post := func(content []byte, err error) error {
		to.Method, to.URL, to.Header, to.Body = http.MethodPost, u.URL()+"/api/v1/telemetry", u.header(), content
		return err
	}
	get := func(path string) { to.Method, to.URL = http.MethodGet, u.URL()+path }
	switch i % 10 {
	case 0:
		if i%backlogEvery == 0 {
			return post(u.backlog, nil)
		}
		return post(batch(samples(of, time.Now())))
	case 1:
		get("/api/v1/substations/" + of + "/points/" + measured[0].Key + "/series?window=5m&buckets=60")
	case 2, 3:
		get("/api/v1/substations")
	default:
		get("/")
	}
	return nil
}

// header is that of a field gateway, whose token is in the key vault.
func (u *users) header() http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	if secret, err := u.secrets.Get("gridos-secrets"); err == nil {
		// A line has the name of the sender, if it has one, and the token.
		line, _, _ := strings.Cut(strings.TrimSpace(string(secret.Data["ingest-token"])), "\n")
		if words := strings.Fields(line); len(words) > 0 {
			header.Set("Authorization", "Bearer "+words[len(words)-1])
		}
	}
	return header
}

// batch is the body of a request that sends samples.
func batch(all []sample) ([]byte, error) { return json.Marshal(map[string]any{"samples": all}) }

// RoundTrip sends a request from one of the machines.
func (u *users) RoundTrip(request *http.Request) (*http.Response, error) {
	return u.clients[u.sent.Load()%machines].RoundTrip(request.WithContext(u.running))
}

// Rate implements vegeta.Pacer.
func (u *users) Rate(time.Duration) float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rate
}

// Pace implements vegeta.Pacer: it returns how long the next request waits.
func (u *users) Pace(elapsed time.Duration, _ uint64) (wait time.Duration, stop bool) {
	const look = 100 * time.Millisecond
	for {
		rate := u.Rate(0)
		switch {
		case u.running.Err() != nil:
			return 0, true
		case rate > 0:
			// What a machine that was too busy has left out does not come at once.
			u.next = max(u.next+time.Duration(float64(time.Second)/rate), elapsed-look)
			return max(u.next-elapsed, 0), false
		}
		select {
		case <-u.running.Done():
		case <-time.After(look):
			elapsed += look
		}
	}
}

// see counts what a user got.
func (u *users) see(result *vegeta.Result) {
	u.mu.Lock()
	defer u.mu.Unlock()
	failed := result.Code != http.StatusOK || result.Error != ""
	if failed {
		u.failure = fmt.Sprintf("%s %s at %s, after %s: %s %s", result.Method, result.URL, result.Timestamp.UTC().Format(time.TimeOnly),
			result.Latency.Round(time.Millisecond), result.Error, bytes.TrimSpace(result.Body))
	}
	hash := result.Headers.Get(hashHeader)
	if hash == "" {
		u.unanswered++
		return
	}
	if u.revisions[hash] == nil {
		u.revisions[hash] = &Revision{Hash: hash, Tag: result.Headers.Get(tagHeader)}
	}
	revision := u.revisions[hash]
	revision.Requests++
	if failed {
		revision.Failed++
	}
	if result.Latency > slow {
		revision.Slow++
	}
}
