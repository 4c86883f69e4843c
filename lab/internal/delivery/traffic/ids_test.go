package traffic

import (
	"archive/tar"
	"bufio"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/uuid"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/bootstrap/accesslog"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/lab/internal/delivery/image"
	"github.com/gridos/sharedinfra/stacks"
)

// operators are what may stand in the format of an access log. Source: envoyproxy.io, "Access
// logging", 1.37.
var operators = []string{
	"START_TIME", "REQ", "RESPONSE_CODE", "RESPONSE_FLAGS", "RESPONSE_CODE_DETAILS", "DURATION", "BYTES_SENT", "ROUTE_NAME",
	"UPSTREAM_CLUSTER", "UPSTREAM_HOST",
}

var operator = regexp.MustCompile(`^%([A-Z_]+)(?:\(([^)?]+)(?:\?([^)]+))?\))?%$`)

// accessLogFormat is the format that gridos-bootstrap registers, by field.
func accessLogFormat(t *testing.T) map[string]string {
	t.Helper()
	recorded, err := mocks.Run{Project: stacks.Bootstrap, Root: repository, Stack: "dev"}.Do(func(ctx *pulumi.Context) error {
		_, err := accesslog.New(ctx, "access-log")
		return err
	})
	require.NoError(t, err)
	var config struct {
		AccessLogFormat string `json:"accessLogFormat"`
	}
	registered := recorded.OfType(object.ConfigMapToken)
	require.NotEmpty(t, registered)
	require.NoError(t, yaml.Unmarshal([]byte(registered[0].Inputs["data"].ObjectValue()["mesh"].StringValue()), &config))
	var fields map[string]string
	require.NoError(t, json.Unmarshal([]byte(config.AccessLogFormat), &fields))
	return fields
}

// meshGateway does to a request what Envoy does at the edge of the mesh: it gives it an id of its
// own, and logs the request. Only the operators for headers and for the code have their value here.
func meshGateway(t *testing.T, service string, log func(map[string]string)) *httptest.Server {
	format := accessLogFormat(t)
	return proxy(t, service, func(r *http.Request) { r.Header.Set("X-Request-Id", uuid.NewString()) }, func(r *http.Response) {
		line := map[string]string{}
		for field, text := range format {
			found := operator.FindStringSubmatch(text)
			if !assert.NotNil(t, found, "%s: %q is no operator", field, text) || !assert.Contains(t, operators, found[1], field) {
				continue
			}
			switch found[1] {
			case "REQ":
				value := r.Request.Header.Get(found[2])
				if value == "" && found[3] != "" {
					value = r.Request.Header.Get(found[3])
				}
				line[field] = value
			case "RESPONSE_CODE":
				line[field] = strconv.Itoa(r.StatusCode)
			}
		}
		log(line)
	})
}

// applicationGateway does to a request what the Application Gateway does: it logs it under an id of
// 32 characters, and tells the id to its backend.
func applicationGateway(t *testing.T, backend string, log func(transactionID string)) *httptest.Server {
	return proxy(t, backend, func(r *http.Request) {
		r.Header.Set("X-Appgw-Trace-Id", strings.ReplaceAll(uuid.NewString(), "-", ""))
	}, func(r *http.Response) { log(r.Request.Header.Get("X-Appgw-Trace-Id")) })
}

func proxy(t *testing.T, to string, before func(*http.Request), after func(*http.Response)) *httptest.Server {
	t.Helper()
	target, err := url.Parse(to)
	require.NoError(t, err)
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			before(r.Out)
		},
		ModifyResponse: func(r *http.Response) error {
			after(r)
			return nil
		},
	})
	t.Cleanup(server.Close)
	return server
}

// startService runs the service from its image, without a database, and returns its address and the
// lines that it logs.
func startService(t *testing.T) (address string, lines *bufio.Scanner) {
	t.Helper()
	built, err := image.Build(t.Context(), filepath.Join(repository, "src"), "dev-abc1234")
	require.NoError(t, err)
	content := mutate.Extract(built)
	archive := tar.NewReader(content)
	_, err = archive.Next()
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "gridos")
	file, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o700)
	require.NoError(t, err)
	_, err = io.Copy(file, archive)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, content.Close())

	closed, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens for no time
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(closed.Addr().String())
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte(rand.Text()), 0o600))

	command := exec.CommandContext(t.Context(), program, "serve")
	command.Env = []string{
		"HTTP_ADDRESS=127.0.0.1:0", "DATABASE_HOST=127.0.0.1", "DATABASE_PORT=" + port, "DATABASE_NAME=gridos", "DATABASE_USER=gridos",
		"DATABASE_PASSWORD_FILE=" + password, "LOG_LEVEL=debug",
	}
	log, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		assert.NoError(t, command.Process.Kill())
		_ = command.Wait() // it was killed
	})
	lines = bufio.NewScanner(log)
	return next(t, lines, "listening")["address"], lines
}

// next returns the next line of the log with a message. Its values that are texts are those that
// matter here.
func next(t *testing.T, lines *bufio.Scanner, message string) map[string]string {
	t.Helper()
	for lines.Scan() {
		var line map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), lines.Text())
		if line["msg"] == message {
			texts := map[string]string{}
			for key, value := range line {
				texts[key], _ = value.(string)
			}
			return texts
		}
	}
	require.Fail(t, "the service ended", "it logged no line %q", message)
	return nil
}

// Only the service is real. The two gateways are this file's, with the format of the mesh's log
// that gridos-bootstrap registers.
func TestCluster_OneRequestHasTheSameIdsInAllThreeLogs(t *testing.T) {
	t.Parallel()
	address, lines := startService(t)
	var ofGateway string
	var ofMesh map[string]string
	mesh := meshGateway(t, "http://"+address, func(line map[string]string) { ofMesh = line })
	gateway := applicationGateway(t, mesh.URL, func(id string) { ofGateway = id })

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway.URL+"/version", http.NoBody)
	require.NoError(t, err)
	request.Header.Set("X-Request-Id", "of-the-client")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	ofService := next(t, lines, "request")

	assert.Len(t, ofGateway, 32)
	assert.Equal(t, ofGateway, ofMesh["transaction"])
	assert.Equal(t, ofGateway, ofService["transaction"])
	assert.NotEmpty(t, ofMesh["request"])
	assert.Equal(t, ofMesh["request"], ofService["request"])
	assert.Equal(t, ofMesh["request"], response.Header.Get("X-Request-Id"), "the client can name it")
	assert.Equal(t, "200", ofMesh["code"])
}
