package random_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gridos/sharedinfra/lab/internal/offline/random"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

const urn = "urn:pulumi:dev::project::random:index/randomPassword:RandomPassword::password"

func properties(t *testing.T, values map[string]any) *structpb.Struct {
	t.Helper()
	result, err := providers.Marshal(resource.NewPropertyMapFromMap(values))
	require.NoError(t, err)
	return result
}

func TestUnit_PasswordKeepsItsPromise(t *testing.T) {
	provider := random.New()
	inputs := map[string]any{
		"length": 40.0, "special": true, "overrideSpecial": "-_", "minSpecial": 20.0, "minNumeric": 3.0, "upper": false,
	}
	response, err := provider.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: properties(t, inputs)})
	require.NoError(t, err)
	assert.Equal(t, "none", response.GetId())

	outputs, err := providers.Unmarshal(response.GetProperties())
	require.NoError(t, err)
	require.True(t, outputs["result"].IsSecret(), "the password must be secret")
	require.True(t, outputs["bcryptHash"].IsSecret(), "the hash must be secret")
	password := providers.Reveal(outputs["result"]).StringValue()
	assert.Len(t, password, 40)
	count := func(set string) (n int) {
		for _, r := range password {
			if strings.ContainsRune(set, r) {
				n++
			}
		}
		return n
	}
	assert.GreaterOrEqual(t, count("-_"), 20)
	assert.GreaterOrEqual(t, count("0123456789"), 3)
	assert.Zero(t, count("ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$"), password)
	require.NoError(t, bcrypt.CompareHashAndPassword(
		[]byte(providers.Reveal(outputs["bcryptHash"]).StringValue()), []byte(password)))

	inputs["length"] = 80.0
	long, err := provider.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: properties(t, inputs)})
	require.NoError(t, err)
	outputs, err = providers.Unmarshal(long.GetProperties())
	require.NoError(t, err)
	require.NoError(t, bcrypt.CompareHashAndPassword(
		[]byte(providers.Reveal(outputs["bcryptHash"]).StringValue()), []byte(providers.Reveal(outputs["result"]).StringValue()[:72])),
		"bcrypt knows 72 bytes")

	inputs["length"] = 40.0
	again, err := provider.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: properties(t, inputs)})
	require.NoError(t, err)
	assert.NotEqual(t, response.GetProperties().GetFields()["result"], again.GetProperties().GetFields()["result"])
}

func TestUnit_PreviewLeavesThePasswordUnknown(t *testing.T) {
	response, err := random.New().Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn, Properties: properties(t, map[string]any{"length": 20.0}), Preview: true,
	})
	require.NoError(t, err)
	assert.NotContains(t, response.GetProperties().GetFields(), "result")
	assert.NotContains(t, response.GetProperties().GetFields(), "bcryptHash")
	assert.Contains(t, response.GetProperties().GetFields(), "special")
}

func TestUnit_CheckNamesEveryMistake(t *testing.T) {
	tests := map[string]struct {
		inputs map[string]any
		want   []string
	}{
		"good":                     {map[string]any{"length": 16.0, "keepers": map[string]any{"a": "b"}}, nil},
		"no length":                {map[string]any{}, []string{"length"}},
		"unknown input":            {map[string]any{"length": 16.0, "lenght": 1.0}, []string{"lenght"}},
		"wrong type":               {map[string]any{"length": "16", "special": "no"}, []string{"length", "special"}},
		"minimums exceed length":   {map[string]any{"length": 4.0, "minLower": 5.0}, []string{"length"}},
		"nothing to choose from":   {map[string]any{"length": 4.0, "lower": false, "upper": false, "numeric": false, "special": false}, []string{"length"}},
		"keeper that is no string": {map[string]any{"length": 4.0, "keepers": map[string]any{"a": 1.0}}, []string{"keepers.a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response, err := random.New().Check(t.Context(), &pulumirpc.CheckRequest{Urn: urn, News: properties(t, test.inputs)})
			require.NoError(t, err)
			var got []string
			for _, failure := range response.GetFailures() {
				got = append(got, failure.GetProperty())
			}
			assert.ElementsMatch(t, test.want, got, "%v", response.GetFailures())
		})
	}
}

func TestUnit_AnyChangeReplaces(t *testing.T) {
	provider := random.New()
	before := properties(t, map[string]any{"length": 16.0, "keepers": map[string]any{"year": "1"}})
	same, err := provider.Diff(t.Context(), &pulumirpc.DiffRequest{Urn: urn, OldInputs: before, News: before})
	require.NoError(t, err)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, same.GetChanges())

	changed, err := provider.Diff(t.Context(), &pulumirpc.DiffRequest{
		Urn: urn, OldInputs: before,
		News: properties(t, map[string]any{"length": 16.0, "keepers": map[string]any{"year": "2"}}),
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"keepers.year"}, changed.GetReplaces())
	assert.Equal(t, pulumirpc.PropertyDiff_UPDATE_REPLACE, changed.GetDetailedDiff()["keepers.year"].GetKind())
}

func TestUnit_OtherTypesAreErrors(t *testing.T) {
	_, err := random.New().Check(t.Context(), &pulumirpc.CheckRequest{
		Urn: "urn:pulumi:dev::project::random:index/randomPet:RandomPet::pet", News: properties(t, nil),
	})
	assert.ErrorContains(t, err, "random:index/randomPet:RandomPet")
}
