package accesslog_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/bootstrap/accesslog"
	"github.com/gridos/sharedinfra/internal/mocks"
	"github.com/gridos/sharedinfra/internal/object"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/stacks"
)

// registered returns the ConfigMaps.
func registered(t *testing.T) []mocks.Resource {
	t.Helper()
	recorded, err := mocks.Run{Project: stacks.Bootstrap, Root: "../..", Stack: "prod"}.Do(func(ctx *pulumi.Context) error {
		_, err := accesslog.New(ctx, "access-log")
		return err
	})
	require.NoError(t, err)
	return recorded.OfType(object.ConfigMapToken)
}

// AKS reads the ConfigMap of a revision when its control plane starts. An upgrade leads to the next
// revision or the one after, and an environment may be one behind.
func TestUnit_EveryRevisionThatAnEnvironmentMayHaveFindsItsConfiguration(t *testing.T) {
	t.Parallel()
	minor, err := strconv.Atoi(strings.TrimPrefix(versions.IstioRevision(), "asm-1-"))
	require.NoError(t, err)
	var want, names []string
	for m := minor - 1; m <= minor+2; m++ {
		want = append(want, fmt.Sprintf("istio-shared-configmap-asm-1-%d", m))
	}
	for _, r := range registered(t) {
		metadata := r.Inputs["metadata"].ObjectValue()
		assert.Equal(t, "aks-istio-system", metadata["namespace"].StringValue())
		names = append(names, metadata["name"].StringValue())
	}
	assert.ElementsMatch(t, want, names)
}

// AKS refuses a ConfigMap with a field that it neither supports nor allows. docs/logs.md has the
// fields of a line, which the saved queries ask for.
func TestUnit_TheFormatIsJSONWithTheFieldsOfTheDocument(t *testing.T) {
	t.Parallel()
	var config map[string]string
	for _, r := range registered(t) {
		require.NoError(t, yaml.Unmarshal([]byte(r.Inputs["data"].ObjectValue()["mesh"].StringValue()), &config))
	}
	format := config["accessLogFormat"]
	delete(config, "accessLogFormat")
	assert.Equal(t, map[string]string{"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON"}, config)
	var fields map[string]string
	require.NoError(t, json.Unmarshal([]byte(format), &fields))
	assert.Equal(t, "%REQ(X-REQUEST-ID)%", fields["request"])
	assert.Equal(t, "%REQ(X-APPGW-TRACE-ID)%", fields["transaction"])

	text, err := os.ReadFile("../../docs/logs.md")
	require.NoError(t, err)
	row := regexp.MustCompile(`(?m)^\| the mesh's gateways \| ([^|]+) \|`).FindStringSubmatch(string(text))
	require.Len(t, row, 2)
	var documented, written []string
	for _, field := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
		documented = append(documented, field[1])
	}
	for field := range fields {
		written = append(written, field)
	}
	slices.Sort(written)
	slices.Sort(documented)
	assert.Equal(t, written, documented, "docs/logs.md, the fields of a line")
}
