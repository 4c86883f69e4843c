package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/internal/cli"
)

const (
	// smokePath is a read of the service that needs its database and no token.
	smokePath = "/api/v1/substations"
	// versionPath answers with the version of the image; the header makes the mesh's gateway send
	// the request to the version that all users get, not to a canary
	// (applications/gridos/base/ingress.yaml).
	versionPath, revisionHeader, stable = "/version", "gridos-revision", "stable"
	// smokeAnswer is the longest answer that is read, in bytes.
	smokeAnswer = 64 << 20
)

// explained says where on the way a request was refused.
var explained = map[int]string{
	http.StatusForbidden: "the firewall of the Application Gateway refused it; look into its log",
	http.StatusNotFound: "the mesh's gateway has no route for it; see that Argo CD has synced the Gateway and the VirtualService gridos, " +
		"and that the host is theirs",
	http.StatusBadGateway: "the Application Gateway got no answer from the mesh's gateway; compare the targetPorts of the Services " +
		"gridos-edge and aks-istio-ingressgateway-internal in the namespace aks-istio-ingress, which must be the same",
	http.StatusServiceUnavailable: "no pod of the service takes requests; see kubectl argo rollouts get rollout gridos -n gridos",
	http.StatusGatewayTimeout:     "the service, or its database, did not answer in time",
}

func smokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "smoke", Short: "Send a request to the service by the way that users take", Args: cobra.NoArgs,
		Long: `Reads the substations at a public address, through the Application Gateway, the load balancer and the gateway of the mesh,
to a pod and its database. The probes of these do not show that: they ask at ports of their own. The command repeats a request that
fails until --wait is over, and then says where on the way it ended.

With --serves it also asks which version all users get, which is the last one that went through all steps of its release: a canary, or a
release that was aborted, is not.`,
		Example: `  go run ./pipeline smoke --url https://gridos.example.com
  go run ./pipeline smoke --url https://gridos.example.com --serves dev-abc1234`,
	}
	address := cmd.Flags().String("url", "", "where users reach the service, such as https://gridos.example.com (required)")
	serves := cmd.Flags().String("serves", "", "the version that it has to serve: the tag of the image in dev, where it was built")
	patience := cmd.Flags().Duration("wait", 2*time.Minute, "how long to go on while there is no good answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		target, err := url.Parse(*address)
		if err != nil || target.Host == "" || target.Scheme != "https" && target.Scheme != "http" {
			return cli.UsageError{Err: fmt.Errorf("--url %q is no address of a service; name one such as https://gridos.example.com",
				*address)}
		}
		if target.User != nil {
			return cli.UsageError{Err: errors.New("--url has a user or a password, and the address is printed; leave them out")}
		}
		if *patience < 0 {
			return cli.UsageError{Err: fmt.Errorf("--wait %s is negative; give 0 for a single request", *patience)}
		}
		to := target.JoinPath(smokePath).String()
		found, err := backoff.Retry(cmd.Context(), func() (string, error) {
			found, err := substations(cmd.Context(), to)
			if err == nil && *serves != "" {
				err = served(cmd.Context(), target.JoinPath(versionPath).String(), *serves)
			}
			return found, err
		},
			backoff.WithBackOff(backoff.NewConstantBackOff(min(5*time.Second, max(*patience/10, time.Millisecond)))),
			backoff.WithMaxElapsedTime(max(*patience, time.Nanosecond)))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s answers, %s.\n", to, found)
		return err
	}
	return cmd
}

// substations asks the service once and returns its answer: how many substations it has, or that
// the service does not let this address read. The latter is the service's own answer too, and only
// a pod whose database answers gets a request.
func substations(ctx context.Context, from string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second) // longer than the Application Gateway waits
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return "", backoff.Permanent(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("no answer from the Application Gateway: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusForbidden && response.Header.Get("Content-Type") == "application/problem+json" {
		return "and refuses readers from here (READ_NETWORKS)", nil
	}
	if response.StatusCode != http.StatusOK {
		why := explained[response.StatusCode]
		if why == "" {
			why = "see the log of the service"
		}
		return "", fmt.Errorf("%s answers %s: %s", from, response.Status, why)
	}
	var answer struct {
		Substations []json.RawMessage `json:"substations"`
	}
	err = json.NewDecoder(io.LimitReader(response.Body, smokeAnswer)).Decode(&answer)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("the answer of %s breaks off, or is longer than %d bytes", from, smokeAnswer)
	}
	if err != nil || answer.Substations == nil {
		return "", fmt.Errorf("%s answers 200 and no list of substations: another service has that address; correct --url", from)
	}
	return fmt.Sprintf("with %d substations", len(answer.Substations)), nil
}

// served returns no error if all users get a version.
func served(ctx context.Context, from, version string) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return backoff.Permanent(err)
	}
	request.Header.Set(revisionHeader, stable)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no answer from the Application Gateway: %w", err)
	}
	defer response.Body.Close()
	var answer struct {
		Version string `json:"version"`
	}
	err = json.NewDecoder(io.LimitReader(response.Body, smokeAnswer)).Decode(&answer)
	if response.StatusCode != http.StatusOK || err != nil {
		return fmt.Errorf("%s answers %s and no version: see the log of the service", from, response.Status)
	}
	if answer.Version != version {
		return fmt.Errorf("%s serves %q and not %s: its release is not through, was aborted, or Argo CD has not synced it; see "+
			"kubectl argo rollouts get rollout gridos -n gridos", from, answer.Version, version)
	}
	return nil
}
