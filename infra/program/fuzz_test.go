package program_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/stacks"
)

// FuzzSettings: whatever a stack's file says, the program either refuses it, with messages that
// name keys and are always the same, or accepts it. An accepted environment is out of reach, also
// for pushing images, of everyone who has no right to it, and has room for what is to run in it. A
// line of the text is a key and a value.
func FuzzSettings(f *testing.F) {
	for number, environment := range naming.Environments() {
		values, err := projectfile.Config(f.Context(), filepath.Join("..", "..", "infra"), environment)
		require.NoError(f, err)
		var lines []string
		for key, value := range values {
			if name, ok := strings.CutPrefix(key, stacks.Infra.Name+":"); ok {
				lines = append(lines, name+" "+value)
			}
		}
		slices.Sort(lines)
		f.Add(uint8(number), strings.Join(lines, "\n"))
	}
	f.Add(uint8(0), strings.Join(everyKey(f), "\n"))
	f.Add(uint8(0), "authorizedRanges [\"203.0.113.7/32\"]\nuserPoolMin 5\nuserPoolMax 4\nzones [\"1\",\"1\"]\nlocation westus\nowner *\ncostCentre *")
	f.Add(uint8(2), "clusterPrivate false\nvaultPrivate false\nauthorizedRanges [\"0.0.0.0/0\",\"10.0.0.0/8\",\"x\"]\nprotect maybe")
	f.Add(uint8(1), "postgresHighAvailability ZoneRedundant\npostgresTier Burstable\nlocation francesouth\nzones []\nnameSuffix -")
	f.Add(uint8(0), "authorizedRanges [\"203.0.113.0/24\"]\npipelineSubjects [\"repo:g/g:environment:dev\",\"repo:g@1/g@2:environment:dev\"]")
	f.Add(uint8(0), "authorizedRanges [\"203.0.113.0/24\"]\npipelineSubjects [\"repo:g/g:pull_request\",\"repo:g/g:environment:prod\"]")
	f.Fuzz(func(t *testing.T, number uint8, text string) {
		environment := naming.Environments()[int(number)%len(naming.Environments())]
		given := map[string]string{}
		for line := range strings.Lines(text) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			given[stacks.Infra.Name+":"+key] = value
		}
		r := config.FromMap(stacks.Infra.Name, environment, given)
		s, err := program.Load(r, environment)
		if err != nil {
			var all *config.Error
			require.ErrorAs(t, err, &all)
			keys := r.Defaults()
			for _, mistake := range all.Mistakes {
				key, _, _ := strings.Cut(strings.TrimPrefix(mistake.Error(), stacks.Infra.Name+":"), ": ")
				_, known := keys[key]
				_, set := given[stacks.Infra.Name+":"+key]
				assert.True(t, known || set, "names no key: %s", mistake)
			}
			for range 3 {
				_, again := program.Load(config.FromMap(stacks.Infra.Name, environment, given), environment)
				require.EqualError(t, again, err.Error(), "the same file has the same mistakes")
			}
			return
		}
		for _, text := range s.AuthorizedRanges {
			p, err := netip.ParsePrefix(text)
			require.NoError(t, err)
			assert.True(t, p.Addr().Is4() && p.Bits() > 0 && !p.Addr().IsPrivate(), "%s may reach the environment", p)
		}
		for _, subject := range s.PipelineSubjects {
			assert.Regexp(t, `^repo:[^:*]+:environment:`+environment+`$`, subject, "may push images")
		}
		assert.True(t, s.Cluster.Private && s.Vault.Private || len(s.AuthorizedRanges) > 0, "nobody reaches what is public")
		assert.True(t, environment != "prod" || s.Alerts.Wanted(), "no person hears that prod is down")
		for _, pool := range []struct{ least, most int }{
			{s.Cluster.SystemPool.Min, s.Cluster.SystemPool.Max},
			{s.Cluster.UserPool.Min, s.Cluster.UserPool.Max},
			{s.Gateway.MinCapacity, s.Gateway.MaxCapacity},
		} {
			assert.True(t, 0 <= pool.least && pool.least <= pool.most, "%+v", pool)
		}
		assert.LessOrEqual(t, s.Gateway.MaxCapacity, network.Room(s.Network.AppGateway))
		assert.LessOrEqual(t, s.Cluster.SystemPool.Max+s.Cluster.UserPool.Max, network.Room(s.Network.AKS))
		for _, name := range []string{s.Location, s.Owner, s.CostCentre, s.Cluster.DNSPrefix} {
			assert.NotEmpty(t, name)
		}
	})
}

// everyKey returns each key that the program reads, with a value that is hardly ever valid.
func everyKey(f *testing.F) []string {
	f.Helper()
	r := config.FromMap(stacks.Infra.Name, "dev", nil)
	_, err := program.Load(r, "dev")
	require.Error(f, err, "dev does not go without authorizedRanges")
	var lines []string
	for key := range r.Defaults() {
		lines = append(lines, key+" 10.0.0.0/8")
	}
	slices.Sort(lines)
	return lines
}
