package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// capability is the entry of "Location Based Capabilities - Execute" (Microsoft.DBforPostgreSQL,
// api-version 2024-08-01). The properties for what is supported are Enabled or Disabled; status and
// reason are set when Azure restricts the entry.
type capability struct {
	Restricted                           string    `json:"restricted"`
	GeoBackupSupported                   string    `json:"geoBackupSupported"`
	ZoneRedundantHaSupported             string    `json:"zoneRedundantHaSupported"`
	ZoneRedundantHaAndGeoBackupSupported string    `json:"zoneRedundantHaAndGeoBackupSupported"`
	SupportedServerVersions              []entry   `json:"supportedServerVersions"`
	SupportedServerEditions              []edition `json:"supportedServerEditions"`
	status
}

type status struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

type entry struct {
	Name string `json:"name"`
	status
}

type edition struct {
	entry
	SupportedServerSkus []struct {
		entry
		SupportedHaMode []string `json:"supportedHaMode"`
	} `json:"supportedServerSkus"`
	SupportedStorageEditions []struct {
		entry
		SupportedStorageMb []struct {
			StorageSizeMb int64 `json:"storageSizeMb"`
			status
		} `json:"supportedStorageMb"`
	} `json:"supportedStorageEditions"`
}

// judge returns a check if the status says that Azure restricts its entry, and else nil. A status
// is Visible, Available, Default or Disabled; without one there is no restriction.
func (s status) judge(concern, of, remedy string) *Check {
	switch s.Status {
	case "", "Visible", "Available", "Default":
		if s.Reason == "" {
			return nil
		}
		check := problem(concern, of, s.Reason, remedy)
		return &check
	case "Disabled":
		found := "disabled for the subscription"
		if s.Reason != "" {
			found += ": " + s.Reason
		}
		check := problem(concern, of, found, remedy)
		return &check
	default:
		check := unclear(concern, of, fmt.Sprintf("it has the status %q", s.Status))
		return &check
	}
}

func (q asker) database(ctx context.Context) []Check {
	items, err := q.list(ctx, q.path("/providers/Microsoft.DBforPostgreSQL/locations/"+q.needs.Location+"/capabilities",
		"2024-08-01"), "value")
	if err != nil {
		return []Check{unanswered("PostgreSQL", "the offer in "+q.needs.Location, err)}
	}
	return q.needs.judgeDatabase(items)
}

func (n Needs) judgeDatabase(items []json.RawMessage) []Check {
	const concern = "PostgreSQL"
	region := "the offer in " + n.Location
	list, whole := decoded[capability](items)
	if len(list) != 1 || !whole {
		return []Check{unclear(concern, region, fmt.Sprintf("it has %d entries that can be read, and not one", len(list)))}
	}
	c, s := list[0], n.Database
	const elsewhere = "ask Azure's support for access to the region, or choose another location"
	offer := enabled(c.Restricted, "Disabled", concern, region, "offered to the subscription",
		strings.TrimSuffix("restricted for the subscription: "+c.Reason, ": "), elsewhere)
	if offer.State == Good {
		if restricted := c.judge(concern, region, elsewhere); restricted != nil {
			offer = *restricted
		}
	}
	checks := []Check{offer}
	checks = append(checks, judgeEntry(concern, "version "+s.Version, s.Version, c.SupportedServerVersions,
		"set postgresVersion to a version that is offered"))
	var e *edition
	named := true
	for i := range c.SupportedServerEditions {
		named = named && c.SupportedServerEditions[i].Name != ""
		if c.SupportedServerEditions[i].Name == s.SKUTier {
			e = &c.SupportedServerEditions[i]
		}
	}
	const other = "set postgresSkuTier and postgresSkuName to what the region offers, or choose another location"
	switch {
	case len(c.SupportedServerEditions) == 0 || e == nil && !named:
		return append(checks, unclear(concern, s.SKUTier, "it has no tiers, or some without a name"))
	case e == nil:
		return append(checks, problem(concern, s.SKUTier, n.Location+" does not offer the tier", other))
	}
	if restricted := e.judge(concern, s.SKUTier, other); restricted != nil {
		return append(checks, *restricted)
	}
	var skus []entry
	var modes []string
	for _, sku := range e.SupportedServerSkus {
		skus = append(skus, sku.entry)
		if strings.EqualFold(sku.Name, s.SKUName) {
			modes = sku.SupportedHaMode
		}
	}
	checks = append(checks, judgeEntry(concern, s.SKUName, s.SKUName, skus, other), n.judgeStorage(*e))
	if mode := s.HighAvailability; mode != "Disabled" {
		checks = append(checks, n.judgeAvailability(c, mode, modes))
	}
	if s.GeoRedundantBackup {
		remedy := "set postgresGeoBackup to false, or choose another location"
		checks = append(checks, enabled(c.GeoBackupSupported, "Enabled", concern, "backups in the paired region", "offered",
			n.Location+" does not offer them", remedy))
		if s.HighAvailability == "ZoneRedundant" {
			checks = append(checks, enabled(c.ZoneRedundantHaAndGeoBackupSupported, "Enabled", concern,
				"backups in the paired region of a zone-redundant server", "offered", n.Location+" does not offer them", remedy))
		}
	}
	return checks
}

// enabled is the check of a property that is Enabled or Disabled: want is the good one.
func enabled(value, want, concern, of, found, otherwise, remedy string) Check {
	switch value {
	case want:
		return good(concern, of, found)
	case "Enabled", "Disabled":
		return problem(concern, of, otherwise, remedy)
	default:
		return unclear(concern, of, fmt.Sprintf("%q is neither Enabled nor Disabled", value))
	}
}

func judgeEntry(concern, of, name string, list []entry, remedy string) Check {
	var names []string
	whole := true
	for _, one := range list {
		if strings.EqualFold(one.Name, name) {
			if restricted := one.judge(concern, of, remedy); restricted != nil {
				return *restricted
			}
			return good(concern, of, "offered")
		}
		names, whole = append(names, one.Name), whole && one.Name != ""
	}
	if len(names) == 0 || !whole {
		return unclear(concern, of, "it has no list of what is offered, or one with gaps")
	}
	return problem(concern, of, "not offered; offered are "+strings.Join(names, ", "), remedy)
}

func (n Needs) judgeStorage(e edition) Check {
	const concern, remedy = "PostgreSQL", "set postgresStorageGb to a size that is offered"
	of := fmt.Sprintf("storage of %d GB", n.Database.StorageGB)
	sizes := 0
	for _, storage := range e.SupportedStorageEditions {
		// The program asks for no other kind of storage, and this is the default.
		if storage.Name != "ManagedDisk" {
			continue
		}
		for _, size := range storage.SupportedStorageMb {
			if size.StorageSizeMb > 0 {
				sizes++
			}
			if size.StorageSizeMb == int64(n.Database.StorageGB)*1024 {
				if restricted := size.judge(concern, of, remedy); restricted != nil {
					return *restricted
				}
				return good(concern, of, "offered")
			}
		}
	}
	if sizes == 0 {
		return unclear(concern, of, "it has no sizes of storage")
	}
	return problem(concern, of, "not offered", remedy)
}

func (n Needs) judgeAvailability(c capability, mode string, modes []string) Check {
	const concern = "PostgreSQL"
	of := "high availability " + mode
	remedy := "set postgresHighAvailability to another mode, which can be changed later, or choose another location"
	switch {
	case len(modes) == 0:
		return unclear(concern, of, "it tells no modes of "+n.Database.SKUName)
	case !slices.Contains(modes, mode):
		return problem(concern, of, n.Database.SKUName+" has "+strings.Join(modes, ", "), remedy)
	case mode == "ZoneRedundant":
		return enabled(c.ZoneRedundantHaSupported, "Enabled", concern, of, "offered",
			n.Location+" takes no new zone-redundant servers of the subscription", remedy)
	default:
		return good(concern, of, "offered")
	}
}
