package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// probeTimeout bounds one check whether a process is ready.
const probeTimeout = 5 * time.Second

// alone returns an error if another process already listens on the address of Ready, because its
// answers would be taken for those of this one.
func (c *Process) alone(ctx context.Context) error {
	where, err := url.Parse(c.Ready)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	port, err := strconv.Atoi(where.Port())
	if err == nil && !BecomesFree(ctx, port) {
		return fmt.Errorf("%s: not started: another program listens on %s already", c.Name, where.Host)
	}
	return nil
}

// probe checks whether a process is ready. If not, the error has the reason.
type probe func(ctx context.Context) error

// newProbe returns the probe of c.Ready and a function that closes it.
func (c *Process) newProbe() (ask probe, end func(), err error) {
	where, err := url.Parse(c.Ready)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	if where.Scheme == "tcp" {
		return func(ctx context.Context) error { return listens(ctx, where.Host) }, func() {}, nil
	}
	client, err := c.probeClient()
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) error { return answers(ctx, client, c.Ready) }, client.CloseIdleConnections, nil
}

func listens(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: probeTimeout}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

func answers(ctx context.Context, client *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

func (c *Process) probeClient() (*http.Client, error) {
	transport := &http.Transport{}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: probeTimeout}, nil
}
