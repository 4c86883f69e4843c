package program

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/infra/alerts"
	"github.com/gridos/sharedinfra/infra/cluster"
	"github.com/gridos/sharedinfra/infra/database"
	"github.com/gridos/sharedinfra/infra/gateway"
	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/monitoring"
	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/infra/region"
	"github.com/gridos/sharedinfra/infra/registry"
	"github.com/gridos/sharedinfra/infra/vault"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/policy"
)

// Settings is the whole configuration of gridos-infra; docs/configuration.md describes each key,
// and Defaults has what an environment is without any.
type Settings struct {
	// Location is the Azure region, such as francecentral.
	Location string
	Names    naming.Names
	// Owner and CostCentre are tags of every resource: who answers for it, and who pays.
	Owner, CostCentre string
	Deployer          identity.Deployer
	// Ranges are the network's ranges as they are written, Network what they make.
	Ranges  network.Settings
	Network network.Plan
	// Egress is the nodes' way out of the network.
	Egress network.EgressSettings
	// AuthorizedRanges are the public addresses (IPv4 CIDRs) of people and pipelines: they reach the
	// API server and the key vault where these are not private.
	AuthorizedRanges []string
	Cluster          cluster.Settings
	Database         database.Settings
	Gateway          gateway.Settings
	Registry         registry.Settings
	Vault            vault.Settings
	Monitoring       monitoring.Settings
	Alerts           alerts.Settings
	// PipelineSubjects are the subjects of the tokens, given out by GitHub, with which pipelines push
	// images: those of jobs in the GitHub environment that has this environment's name.
	PipelineSubjects []string
	// Propagation is how long a new role assignment takes to have an effect.
	Propagation time.Duration
	// SubscriptionID is the subscription that the environment belongs to, or "" for whichever the
	// caller signed in to.
	SubscriptionID string
	// Protect makes Pulumi refuse to delete the cluster, the database server, the vault, the
	// registry, the virtual network, the resource group and the addresses of the NAT gateway.
	Protect bool
	// DeleteLock makes Azure refuse to delete the database server, the vault and the registry, also
	// for their owners.
	DeleteLock bool
	// PodSecurity is what Azure Policy does with pods that do not keep to the baseline of pod
	// security: Disabled, Audit or Deny.
	PodSecurity string
	// Policy is how the environment departs from the guardrails.
	Policy policy.Settings
}

var (
	location = regexp.MustCompile(`^[a-z]+[a-z0-9]*$`)
	// tagValue matches the values that the platform allows in tags; Azure accepts more, but cost
	// reports do not.
	tagValue = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,127}$`)
	// subject is GitHub's name for the holder of a token: a repository, and an environment, branch
	// or event of it. Repositories since June 2026 have the ids of owner and repository in it.
	// Source: docs.github.com, "OpenID Connect reference", immutable subject claims.
	subject = regexp.MustCompile(`^(repo:[\w.@-]+/[\w.@-]+):((?:environment|ref):[^*]+|pull_request)$`)
)

// zoneRedundant is the high availability of a server whose standby is in another zone.
const zoneRedundant = "ZoneRedundant"

// longestPropagation is how long Azure says that a role assignment may take: ten minutes.
const longestPropagation = 10 * time.Minute

// Load reads Settings for environment. Its error is a *config.Error with every mistake.
func Load(r *config.Reader, environment string) (Settings, error) {
	d := Defaults(environment)
	names, err := naming.For(environment, r.String("nameSuffix", ""))
	r.Check("nameSuffix", err)
	d.Cluster.DNSPrefix = cmp.Or(names.ClusterDNSPrefix, environment)

	plan := network.Load(r, d.Ranges)
	s := Settings{
		Location:         r.Text("location", d.Location),
		Names:            names,
		Owner:            r.Text("owner", d.Owner),
		CostCentre:       r.Text("costCentre", d.CostCentre),
		Deployer:         identity.LoadDeployer(r),
		Ranges:           d.Ranges,
		Network:          plan,
		Egress:           network.LoadEgress(r, d.Egress),
		AuthorizedRanges: r.Strings("authorizedRanges", d.AuthorizedRanges),
		Cluster:          cluster.Load(r, d.Cluster, plan),
		Database:         database.Load(r, d.Database),
		Gateway:          gateway.Load(r, d.Gateway, environment),
		Registry:         registry.Load(r, d.Registry),
		Vault:            vault.Load(r, d.Vault),
		Monitoring:       monitoring.Load(r, d.Monitoring),
		Alerts:           alerts.Load(r, d.Alerts, environment),
		PipelineSubjects: r.Strings("pipelineSubjects", []string{"repo:gridos/sharedinfra:environment:" + environment}),
		Propagation:      r.DurationBetween("rolePropagation", d.Propagation, 0, longestPropagation),
		SubscriptionID:   r.String("subscriptionId", ""),
		Protect:          r.Bool("protect", d.Protect),
		DeleteLock:       r.Bool("deleteLock", d.DeleteLock),
		PodSecurity:      r.OneOf("podSecurity", d.PodSecurity, podSecurityDisabled, podSecurityAudit, podSecurityDeny),
		Policy:           policy.Load(r, environment),
	}
	s.check(r, environment)
	return s, r.Err()
}

// check records the mistakes that a single concern does not see.
func (s Settings) check(r *config.Reader, environment string) {
	if !location.MatchString(s.Location) {
		r.Check("location", fmt.Errorf("%q is not the name of a region; write it like francecentral", s.Location))
	}
	for _, tag := range []struct{ key, value string }{{"owner", s.Owner}, {"costCentre", s.CostCentre}} {
		if !tagValue.MatchString(tag.value) {
			r.Check(tag.key, fmt.Errorf("%q is not a valid tag; use up to 128 letters, digits, spaces and . _ @ / -", tag.value))
		}
	}
	if s.SubscriptionID != "" {
		identity.CheckObjectID(r, "subscriptionId", s.SubscriptionID)
		// Who names a subscription deploys there. Without one the files are as they come with the
		// platform, whose prod has an example; `pipeline preflight` refuses that too.
		for _, address := range s.Alerts.Examples() {
			r.Check("alertEmails", fmt.Errorf("%s is an example, to which no mail is delivered, but subscriptionId names a subscription; "+
				"list the addresses of those who answer for %s", address, environment))
		}
	}
	if len(s.PipelineSubjects) > identity.MaxCredentials {
		r.Check("pipelineSubjects", fmt.Errorf("has %d subjects, but an identity takes %d; share an environment among workflows",
			len(s.PipelineSubjects), identity.MaxCredentials))
	}
	for _, subjectOfToken := range s.PipelineSubjects {
		r.Check("pipelineSubjects", checkSubject(subjectOfToken, environment))
	}
	if s.PodSecurity != podSecurityDisabled && !s.Cluster.AzurePolicy {
		r.Check("podSecurity", fmt.Errorf("is %s, but nothing in the cluster asks Azure Policy; "+
			"set azurePolicy to true, or podSecurity to %s",
			s.PodSecurity, podSecurityDisabled))
	}
	s.checkAccess(r)
	s.checkRegion(r)
	if s.Network.AppGateway.IsValid() {
		if room := network.Room(s.Network.AppGateway); s.Gateway.MaxCapacity > room {
			r.Check("gatewaySubnet", fmt.Errorf("%s has room for %d gateway instances, but gatewayMaxCapacity is %d; widen it, or lower "+
				"gatewayMaxCapacity", s.Network.AppGateway, room, s.Gateway.MaxCapacity))
		}
	}
}

// checkSubject returns an error unless a token with this subject is one of a job in the GitHub
// environment of the same name: GitHub issues such a token only for the branches, and after the
// approvals, that the environment requires. A token of a pull request, or of a branch, requires
// none.
func checkSubject(text, environment string) error {
	found := subject.FindStringSubmatch(text)
	if found == nil {
		return fmt.Errorf("%q is not the subject of a token from GitHub, or has a wildcard; write it like "+
			"repo:<owner>/<repository>:environment:%s", text, environment)
	}
	repository, holder := found[1], found[2]
	want := "environment:" + environment
	switch {
	case holder == want:
		return nil
	case holder == "pull_request":
		return fmt.Errorf("%q is any pull request, whose code is not reviewed yet; write %s:%s, and push images from jobs in that "+
			"GitHub environment", text, repository, want)
	case strings.HasPrefix(holder, "ref:"):
		return fmt.Errorf("%q is any job of a branch or tag, which no GitHub environment guards; write %s:%s, and push images from jobs "+
			"in that GitHub environment", text, repository, want)
	default:
		return fmt.Errorf("%q is of another GitHub environment, but this registry is %s's; write %s:%s",
			text, environment, repository, want)
	}
}

// authorizedRanges is how many ranges the API server's list has room for, the addresses of nodes
// included (MicrosoftDocs/azure-docs#68469, StatCan/aaw#545).
const authorizedRanges = 200

// checkAccess records a mistake when the whole Internet could reach the API server or the vault, or
// when the people and pipelines that need them could not.
func (s Settings) checkAccess(r *config.Reader) {
	const key = "authorizedRanges"
	var public []string
	if !s.Cluster.Private {
		public = append(public, "the API server (clusterPrivate)")
	}
	if !s.Vault.Private {
		public = append(public, "the key vault (vaultPrivate)")
	}
	if len(public) > 0 && len(s.AuthorizedRanges) == 0 {
		r.Check(key, fmt.Errorf("is empty, but these have public addresses: %s; list your own "+
			"addresses, such as [\"198.51.100.7/32\"], or make these private", strings.Join(public, ", ")))
	}
	if room := authorizedRanges - s.Egress.Addresses; !s.Cluster.Private && len(s.AuthorizedRanges) > room {
		r.Check(key, fmt.Errorf("has %d ranges, but the API server takes %d beside the addresses that nodes leave by; "+
			"join neighbouring ranges", len(s.AuthorizedRanges), room))
	}
	for _, text := range s.AuthorizedRanges {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil || !p.Addr().Is4() || p != p.Masked():
			r.Check(key, fmt.Errorf("%q is not an IPv4 range; write it like 198.51.100.0/24, or 198.51.100.7/32 for one address", text))
		case p.Bits() == 0:
			r.Check(key, errors.New("0.0.0.0/0 is the whole internet; list your own addresses"))
		case p.Addr().IsPrivate():
			r.Check(key, fmt.Errorf("%s is private and never seen from outside; list public addresses here, "+
				"private ones in operatorRanges", p))
		}
	}
}

// checkRegion records what the region does not offer.
func (s Settings) checkRegion(r *config.Reader) {
	for _, zonal := range []struct {
		key  string
		uses bool
	}{
		{"zones", len(s.Cluster.Zones) > 0},
		{"gatewayZones", len(s.Gateway.Zones) > 0},
		{"registryZoneRedundant", s.Registry.ZoneRedundant},
		{"postgresHighAvailability", s.Database.HighAvailability == zoneRedundant},
	} {
		if zonal.uses {
			r.Check(zonal.key, region.CheckZones(s.Location))
		}
	}
	if s.Database.HighAvailability == zoneRedundant {
		r.Check("postgresHighAvailability", region.CheckStandby(s.Location))
	}
	if s.Database.GeoRedundantBackup {
		r.Check("postgresGeoBackup", region.CheckPair(s.Location))
	}
}

// Warnings lists settings that Azure may refuse although they are valid, each with its key and a
// remedy.
func (s Settings) Warnings() []string {
	var warnings []string
	if s.Database.HighAvailability == zoneRedundant {
		if restriction := region.StandbyRestriction(s.Location); restriction != "" {
			warnings = append(warnings, "location: "+restriction)
		}
	}
	return warnings
}
