package gitops

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
)

// requestTimeout bounds one request to the background process, which answers at once.
const requestTimeout = 10 * time.Second

// Client talks to the background process of a lab.
type Client struct {
	entry entry
	http  *http.Client
}

// Connect returns a client for the process that Open serves from dir; ok is false if none does.
func Connect(dir string) (client *Client, ok bool, err error) {
	text, err := os.ReadFile(entryFile(dir))
	if os.IsNotExist(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	client = &Client{http: &http.Client{Timeout: requestTimeout}}
	if err := unmarshal(entryFile(dir), text, &client.entry); err != nil {
		return nil, false, err
	}
	return client, true, nil
}

// Status returns the state and the addresses of delivery.
func (c *Client) Status(ctx context.Context) (status Status, err error) {
	return status, c.do(ctx, http.MethodGet, "/status", nil, &status)
}

// SetWebhook switches the Git server's announcements of pushes to Argo CD on or off. Without them,
// Argo CD finds pushes by polling.
func (c *Client) SetWebhook(ctx context.Context, on bool) error {
	return c.do(ctx, http.MethodPut, "/webhook", on, nil)
}

// SetRate sets the number of requests per second.
func (c *Client) SetRate(ctx context.Context, perSecond float64) error {
	return c.do(ctx, http.MethodPut, "/traffic/rate", perSecond, nil)
}

// SetAway makes a service answer only 503 Service Unavailable, until it is set back.
func (c *Client) SetAway(ctx context.Context, service Service, away bool) error {
	return c.do(ctx, http.MethodPut, "/away/"+url.PathEscape(string(service)), away, nil)
}

// SetRules makes Prometheus evaluate other rules than those in Git; without groups it has those in
// Git again. It does not wait until Prometheus has read them.
func (c *Client) SetRules(ctx context.Context, rules delivery.Rules) error {
	return c.do(ctx, http.MethodPut, "/rules", rules, nil)
}

// Notifications returns the messages that the receiver has got since the background process
// started, the oldest first.
func (c *Client) Notifications(ctx context.Context) (got []Notification, err error) {
	return got, c.do(ctx, http.MethodGet, "/notifications", nil, &got)
}

// Seen returns the results that users have seen so far.
func (c *Client) Seen(ctx context.Context) (seen traffic.Seen, err error) {
	return seen, c.do(ctx, http.MethodGet, "/traffic", nil, &seen)
}

func (c *Client) do(ctx context.Context, method, path string, value, into any) error {
	var body io.Reader
	if value != nil {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.entry.URL+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.entry.Token)
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("the lab's background process does not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		if err != nil {
			return err
		}
		return fmt.Errorf("the lab's background process refuses %s %s: %s", method, path, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}
