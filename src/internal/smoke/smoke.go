// Package smoke asks a running service, through the mesh's gateway, whether users get what they
// should.
package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sethvargo/go-retry"
)

const (
	requestTimeout = 10 * time.Second
	pause          = 5 * time.Second
	longestAnswer  = 64 << 20
)

// checks are requests that users send, and requests that they must not get an answer to.
var checks = []struct {
	path, what string
	status     int
	good       func(http.Header, []byte) bool
}{
	{"/version", "a version", http.StatusOK, func(_ http.Header, body []byte) bool {
		var answer struct{ Version string }
		return json.Unmarshal(body, &answer) == nil && answer.Version != ""
	}},
	{"/", "the page", http.StatusOK, func(header http.Header, _ []byte) bool {
		return strings.HasPrefix(header.Get("Content-Type"), "text/html")
	}},
	{"/api/v1/substations", "the substations, from the database", http.StatusOK, func(_ http.Header, body []byte) bool {
		var answer struct{ Substations *[]json.RawMessage }
		return json.Unmarshal(body, &answer) == nil && answer.Substations != nil
	}},
	{"/metrics", "nothing", http.StatusNotFound, nil},
	{"/healthz", "nothing", http.StatusNotFound, nil},
	{"/readyz", "nothing", http.StatusNotFound, nil},
}

// explained says where on the way a request went wrong.
var explained = map[int]string{
	http.StatusOK:        "a route of the gateway is gone, or another comes before it; compare the VirtualService gridos with Git",
	http.StatusForbidden: "the service does not take this address for a reader's; see READ_NETWORKS and PROXY_NETWORKS",
	http.StatusNotFound: "the gateway has no route for it; see that the Gateway and the VirtualService gridos are there, " +
		"and are those of Git",
	http.StatusServiceUnavailable: "no pod takes requests, or the database does not answer; see the pods of the Rollout gridos",
	http.StatusGatewayTimeout:     "no pod answered in time; see the pods of the Rollout gridos",
}

// Run sends the checks to the address until all answers are good, at most for the time wait, and
// then returns the mistakes.
func Run(ctx context.Context, address string, wait time.Duration, logger *slog.Logger) error {
	client := &http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var last error
	err := retry.Do(ctx, retry.WithMaxDuration(wait, retry.NewConstant(min(pause, max(wait/10, time.Millisecond)))),
		func(ctx context.Context) error {
			last = ask(ctx, client, strings.TrimRight(address, "/"))
			return retry.RetryableError(last)
		})
	if err != nil {
		return errors.Join(last, ctx.Err())
	}
	logger.Info("users get what they should", "address", address, "requests", len(checks))
	return nil
}

// ask sends all requests and returns what was wrong with any.
func ask(ctx context.Context, client *http.Client, address string) error {
	var wrong []error
	for _, check := range checks {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+check.path, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("no answer: %w; see the gateway's pods, and the network policy of this one", err))
			continue
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
		response.Body.Close()
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("GET %s: the answer broke off: %w", check.path, err))
		case response.StatusCode != check.status:
			why := explained[response.StatusCode]
			if why == "" {
				why = "see the log of the service"
			}
			wrong = append(wrong, fmt.Errorf("GET %s: %s, and users should get %s (%d): %s",
				check.path, response.Status, check.what, check.status, why))
		case check.good != nil && !check.good(response.Header, body):
			wrong = append(wrong, fmt.Errorf("GET %s: the answer is not %s; see which service the gateway leads to",
				check.path, check.what))
		}
	}
	return errors.Join(wrong...)
}
