package cluster

import (
	"fmt"
	"regexp"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/internal/config"
)

// Maintenance is when Azure may work on the cluster: the beginning and the length of its windows,
// and their days of the week in English. New images and new versions both replace nodes, so they
// have different days. Each environment has other days, so that an upgrade shows its effects in dev
// and test before it reaches prod.
type Maintenance struct {
	// Start is the time of day in UTC (HH:MM) and Hours the length, 4 to 24 hours, of every window.
	Start string
	Hours int
	// ReleaseDay is for AKS' own weekly releases: the control plane, add-ons such as CoreDNS, and the
	// mesh with its ingress pods.
	ReleaseDay string
	// NodeImageDay is for new images of the nodes, KubernetesDay for new versions of Kubernetes.
	NodeImageDay, KubernetesDay string
}

var (
	timeOfDay = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	weekdays  = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}
)

func loadMaintenance(r *config.Reader, d Maintenance) Maintenance {
	m := Maintenance{
		Start:         r.Text("maintenanceStart", d.Start),
		Hours:         r.IntBetween("maintenanceHours", d.Hours, 4, 24),
		ReleaseDay:    r.OneOf("releaseDay", d.ReleaseDay, weekdays...),
		NodeImageDay:  r.OneOf("nodeImageDay", d.NodeImageDay, weekdays...),
		KubernetesDay: r.OneOf("kubernetesDay", d.KubernetesDay, weekdays...),
	}
	if !timeOfDay.MatchString(m.Start) {
		r.Check("maintenanceStart", fmt.Errorf("%q is not a time of day; write it like 02:00, in quotes, in UTC", m.Start))
	}
	if m.NodeImageDay != "" && m.NodeImageDay == m.KubernetesDay {
		r.Check("nodeImageDay", fmt.Errorf("%s is kubernetesDay too, and both replace nodes; choose another day", m.NodeImageDay))
	}
	return m
}

// maintenance registers the windows after previous, one after the other. Azure has a configuration
// with a fixed name for each kind of work; without it, Azure does that work at any time (rule K6).
// The configuration default takes a weekly window only (azure-cli#33431).
func (c *Cluster) maintenance(
	ctx *pulumi.Context, name string, managed *azure.ManagedCluster, previous pulumi.Resource, args Args,
) error {
	m := args.Settings.Maintenance
	for _, window := range []struct{ name, configuration, day string }{
		{"releases", "default", m.ReleaseDay},
		{"kubernetes", "aksManagedAutoUpgradeSchedule", m.KubernetesDay},
		{"node-os", "aksManagedNodeOSUpgradeSchedule", m.NodeImageDay},
	} {
		registered, err := azure.NewMaintenanceConfiguration(ctx, name+"-maintenance-"+window.name, &azure.MaintenanceConfigurationArgs{
			ResourceGroupName: args.ResourceGroupName,
			ResourceName:      managed.Name,
			ConfigName:        pulumi.String(window.configuration),
			MaintenanceWindow: azure.MaintenanceWindowArgs{
				Schedule: azure.ScheduleArgs{Weekly: azure.WeeklyScheduleArgs{
					DayOfWeek:     pulumi.String(window.day),
					IntervalWeeks: pulumi.Int(1),
				}},
				StartTime:     pulumi.String(m.Start),
				DurationHours: pulumi.Int(m.Hours),
				UtcOffset:     pulumi.String("+00:00"),
			},
		}, pulumi.Parent(c), pulumi.DependsOn([]pulumi.Resource{previous}))
		if err != nil {
			return err
		}
		previous = registered
	}
	return nil
}
