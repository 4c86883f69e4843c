package charts

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// Reachable reports whether a chart repository (an HTTPS URL such as
// https://argoproj.github.io/argo-helm) serves its index within timeout. A network that answers
// every request with a page of its own does not count.
func Reachable(ctx context.Context, repository string, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(repository, "/")+"/index.yaml", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close() // only the beginning is read
	beginning, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return err == nil && response.StatusCode == http.StatusOK && bytes.Contains(beginning, []byte("apiVersion:"))
}
