// Package database creates the PostgreSQL flexible server, its database and two passwords, which
// are generated here and passed on only through the key vault: the administrator's, and that of the
// role with which the application connects.
package database

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	azure "github.com/pulumi/pulumi-azure-native-sdk/dbforpostgresql/v2/v20240801"
	keyvault "github.com/pulumi/pulumi-azure-native-sdk/keyvault/v2/v20241101"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
)

// Settings is the configuration of the server.
type Settings struct {
	// Version is the major version of PostgreSQL: those that Azure offers and the community supports
	// for a year or more. 14 ends in November 2026 (postgresql.org/support/versioning).
	Version string
	// SKUTier and SKUName belong together: Burstable goes with Standard_B…, GeneralPurpose with
	// Standard_D…, MemoryOptimized with Standard_E… (rule P1).
	SKUTier, SKUName string
	// StorageGB is one of the sizes that Azure offers; it never shrinks (rule P2).
	StorageGB int
	// AutoGrow lets Azure enlarge the storage before it is full: a full server only answers reads.
	// StorageGB is then the size that the server is created with.
	AutoGrow bool
	// Maintenance is the weekly window of Azure's updates. A new server takes none (rule P7).
	Maintenance Maintenance
	// BackupDays is how long backups are kept, 7 to 35 days.
	BackupDays int
	// GeoRedundantBackup copies backups to the paired region. It is decided once, at creation.
	GeoRedundantBackup bool
	// HighAvailability is Disabled, SameZone or ZoneRedundant; not with Burstable (rule P1).
	HighAvailability string
	// AdminLogin is the administrator's login, decided once, at creation.
	AdminLogin string
	// EntraAdmins sign in with Entra ID instead of a password.
	EntraAdmins []EntraAdmin
}

// Maintenance is when Azure may update and restart a server, each week. Its zero value leaves that
// to Azure.
type Maintenance struct {
	// Day is a day of the week in English, or "".
	Day string
	// Start is the time of day in UTC, HH:MM.
	Start string
}

// EntraAdmin is an administrator of the server from the directory.
type EntraAdmin struct {
	// ObjectID is the GUID of the user, group or service principal.
	ObjectID string `json:"objectId"`
	// Name is its name in the directory, which becomes the name of its role in PostgreSQL.
	Name string `json:"name"`
	// Type is User, Group or ServicePrincipal.
	Type string `json:"type"`
}

var (
	skuPrefixes  = map[string]string{"Burstable": "Standard_B", "GeneralPurpose": "Standard_D", "MemoryOptimized": "Standard_E"}
	storageSizes = []int{32, 64, 128, 256, 512, 1024, 2048, 4095, 4096, 8192, 16384, 32767}
	takenLogins  = []string{
		"azure_superuser", "azure_pg_admin", "admin", "administrator", "root", "guest", "public",
	}
	weekdays     = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"} // Azure counts from 0
	loginPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
)

// Load reads Settings with the defaults d, recording mistakes in r.
func Load(r *config.Reader, d Settings) Settings {
	s := Settings{
		Version:   r.OneOf("postgresVersion", d.Version, "15", "16", "17"),
		SKUTier:   r.OneOf("postgresSkuTier", d.SKUTier, "Burstable", "GeneralPurpose", "MemoryOptimized"),
		SKUName:   r.Text("postgresSkuName", d.SKUName),
		StorageGB: r.Int("postgresStorageGb", d.StorageGB),
		AutoGrow:  r.Bool("postgresAutoGrow", d.AutoGrow),
		Maintenance: Maintenance{
			Day:   r.OneOf("postgresMaintenanceDay", d.Maintenance.Day, append([]string{""}, weekdays...)...),
			Start: r.Text("postgresMaintenanceStart", d.Maintenance.Start),
		},
		BackupDays:         r.IntBetween("postgresBackupDays", d.BackupDays, 7, 35),
		GeoRedundantBackup: r.Bool("postgresGeoBackup", d.GeoRedundantBackup),
		HighAvailability:   r.OneOf("postgresHighAvailability", d.HighAvailability, "Disabled", "SameZone", "ZoneRedundant"),
		AdminLogin:         r.Text("postgresAdminLogin", d.AdminLogin),
		EntraAdmins:        config.Decode(r, "postgresEntraAdmins", d.EntraAdmins),
	}
	if want, ok := skuPrefixes[s.SKUTier]; ok && !strings.HasPrefix(s.SKUName, want) {
		r.Check("postgresSkuName", fmt.Errorf("%q is not of tier %s; choose a %s… size or change postgresSkuTier",
			s.SKUName, s.SKUTier, want))
	}
	if s.SKUTier == "Burstable" && s.HighAvailability != "Disabled" {
		r.Check("postgresHighAvailability", errors.New(
			"Azure has no high availability for Burstable servers; use Disabled or another postgresSkuTier"))
	}
	if _, err := time.Parse(timeOfDay, s.Maintenance.Start); err != nil {
		r.Check("postgresMaintenanceStart",
			fmt.Errorf("%q is not a time of day; write it like 02:00, in quotes, in UTC", s.Maintenance.Start))
	}
	if !slices.Contains(storageSizes, s.StorageGB) {
		r.Check("postgresStorageGb", fmt.Errorf("%d is not a size that Azure offers; use one of %v", s.StorageGB, storageSizes))
	}
	if !loginPattern.MatchString(s.AdminLogin) || strings.HasPrefix(s.AdminLogin, "pg_") ||
		slices.Contains(takenLogins, s.AdminLogin) {
		r.Check("postgresAdminLogin", fmt.Errorf(
			"%q is not allowed; use lower-case letters, digits and underscores, not starting with pg_ and none of %s",
			s.AdminLogin, strings.Join(takenLogins, ", ")))
	}
	s.checkEntraAdmins(r)
	return s
}

// timeOfDay is how a time of day is written.
const timeOfDay = "15:04"

func (s Settings) checkEntraAdmins(r *config.Reader) {
	const key = "postgresEntraAdmins"
	seen := map[string]bool{}
	for _, admin := range s.EntraAdmins {
		identity.CheckObjectID(r, key, admin.ObjectID)
		if admin.Name == "" {
			r.Check(key, fmt.Errorf("%s has no name; write the name that the directory shows", admin.ObjectID))
		}
		switch identity.PrincipalType(admin.Type) {
		case identity.User, identity.Group, identity.ServicePrincipal:
		default:
			r.Check(key, fmt.Errorf("%q is not a type of principal; use User, Group or ServicePrincipal", admin.Type))
		}
		if seen[admin.ObjectID] {
			r.Check(key, fmt.Errorf("%s is listed twice; list each administrator once", admin.ObjectID))
		}
		seen[admin.ObjectID] = true
	}
}

// Args is what a Database needs. Every field is required.
type Args struct {
	scope.Scope
	Settings Settings
	// SubnetID and ZoneID are the ARM ids of the delegated subnet and the private DNS zone.
	SubnetID, ZoneID pulumi.StringInput
	// ZoneLink is what the server waits for, so that its name resolves (rule N5).
	ZoneLink pulumi.Resource
	// NetworkSettled is what the server waits for: Azure refuses it while it works on a subnet of the
	// network (rule N10).
	NetworkSettled pulumi.Resource
	// VaultName is the key vault that the passwords go to, VaultAccess the right to write there.
	VaultName   pulumi.StringInput
	VaultAccess []pulumi.Resource
	// TenantID is the GUID of the Entra tenant whose identities may sign in.
	TenantID string
}

// Database is the PostgreSQL server of one environment.
type Database struct {
	pulumi.ResourceState

	// ID is the ARM id of the server.
	ID pulumi.StringOutput
	// Host is the server's private host name.
	Host pulumi.StringOutput
	// Name is the application's database.
	Name pulumi.StringOutput
	// User is the administrator's login.
	User pulumi.StringOutput
	// PasswordSecretName is the name of the administrator's secret in the key vault.
	PasswordSecretName pulumi.StringOutput
}

// New registers the server, its database and its passwords.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Database, error) {
	d := &Database{}
	if err := ctx.RegisterComponentResource("gridos-infra:database:Database", name, d, opts...); err != nil {
		return nil, err
	}
	if err := d.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return d, ctx.RegisterResourceOutputs(d, pulumi.Map{
		"host":               d.Host,
		"name":               d.Name,
		"user":               d.User,
		"passwordSecretName": d.PasswordSecretName,
	})
}

func (d *Database) provision(ctx *pulumi.Context, name string, args Args) error {
	password, err := newPassword(ctx, name+"-password", pulumi.Parent(d))
	if err != nil {
		return err
	}
	// A failover swaps the two zones, and Azure enlarges the storage: neither is drift to undo.
	azures := []string{"availabilityZone", "highAvailability.standbyAvailabilityZone"}
	if args.Settings.AutoGrow {
		azures = append(azures, "storage.storageSizeGB")
	}
	server, err := azure.NewServer(ctx, name+"-server", serverArgs(args, password.Result),
		pulumi.Parent(d), pulumi.Protect(args.Protect), pulumi.DependsOn([]pulumi.Resource{args.ZoneLink, args.NetworkSettled}),
		pulumi.IgnoreChanges(azures))
	if err != nil {
		return err
	}
	d.ID = server.ID().ToStringOutput()
	if err := args.Diagnostics.Watch(ctx, name+"-server", d.ID, scope.Tabled,
		pulumi.Parent(d)); err != nil {
		return err
	}
	// The server takes one operation at a time and refuses a second with ServerIsBusy, so its children
	// form a chain (rule P5).
	previous, err := d.entraAdmins(ctx, name, server, args)
	if err != nil {
		return err
	}
	database, err := azure.NewDatabase(ctx, name+"-gridos", &azure.DatabaseArgs{
		ResourceGroupName: args.ResourceGroupName,
		ServerName:        server.Name,
		DatabaseName:      pulumi.String(naming.Application),
		Charset:           pulumi.String("UTF8"),
		Collation:         pulumi.String("en_US.utf8"),
	}, pulumi.Parent(d), pulumi.DependsOn(previous))
	if err != nil {
		return err
	}
	if _, err := azure.NewConfiguration(ctx, name+"-tls", &azure.ConfigurationArgs{
		ResourceGroupName: args.ResourceGroupName,
		ServerName:        server.Name,
		ConfigurationName: pulumi.String("ssl_min_protocol_version"),
		Source:            pulumi.String("user-override"),
		Value:             pulumi.String("TLSv1.2"),
		// Without RetainOnDelete azure-native resets a deleted parameter to its default, which
		// would only delay the deletion of its server (custom_postgres_config.go there, in 2.90.0;
		// issue 3072).
	}, pulumi.Parent(d), pulumi.DependsOn([]pulumi.Resource{database}), pulumi.RetainOnDelete(true)); err != nil {
		return err
	}
	// The role of the service has a password from its first day; gridos migrate makes the role.
	servicePassword, err := newPassword(ctx, name+"-service-password", pulumi.Parent(d))
	if err != nil {
		return err
	}
	keep := func(resource, secret string, value pulumi.StringInput) (*keyvault.Secret, error) {
		return keyvault.NewSecret(ctx, resource, &keyvault.SecretArgs{
			ResourceGroupName: args.ResourceGroupName,
			VaultName:         args.VaultName,
			SecretName:        pulumi.String(secret),
			Properties:        keyvault.SecretPropertiesArgs{Value: value},
			Tags:              args.Tags,
		}, pulumi.Parent(d), pulumi.DependsOn(args.VaultAccess))
	}
	secret, err := keep(name+"-password-secret", args.Names.DatabasePasswordSecret, password.Result)
	if err != nil {
		return err
	}
	if _, err := keep(name+"-service-password-secret", args.Names.DatabaseServicePasswordSecret, servicePassword.Result); err != nil {
		return err
	}
	d.Host = server.FullyQualifiedDomainName
	d.Name = database.Name
	d.User = pulumi.String(args.Settings.AdminLogin).ToStringOutput()
	d.PasswordSecretName = secret.Name
	return nil
}

func newPassword(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*random.RandomPassword, error) {
	return random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{
		Length:          pulumi.Int(32),
		OverrideSpecial: pulumi.String("-_.~"), // no character that a connection URL would need to escape
		MinLower:        pulumi.Int(1),
		MinUpper:        pulumi.Int(1),
		MinNumeric:      pulumi.Int(1),
	}, opts...)
}

// entraAdmins registers the administrators as a chain after the server, and returns its last link.
func (d *Database) entraAdmins(
	ctx *pulumi.Context, name string, server *azure.Server, args Args,
) ([]pulumi.Resource, error) {
	previous := []pulumi.Resource{server}
	for _, a := range args.Settings.EntraAdmins {
		admin, err := azure.NewAdministrator(ctx, name+"-admin-"+a.ObjectID, &azure.AdministratorArgs{
			ResourceGroupName: args.ResourceGroupName,
			ServerName:        server.Name,
			ObjectId:          pulumi.String(a.ObjectID),
			PrincipalName:     pulumi.String(a.Name),
			PrincipalType:     pulumi.String(a.Type),
			TenantId:          pulumi.String(args.TenantID),
		}, pulumi.Parent(d), pulumi.DependsOn(previous))
		if err != nil {
			return nil, err
		}
		previous = []pulumi.Resource{admin}
	}
	return previous, nil
}

func serverArgs(args Args, password pulumi.StringInput) *azure.ServerArgs {
	s := args.Settings
	geo := azure.GeoRedundantBackupEnumDisabled
	if s.GeoRedundantBackup {
		geo = azure.GeoRedundantBackupEnumEnabled
	}
	autoGrow := azure.StorageAutoGrowDisabled
	if s.AutoGrow {
		autoGrow = azure.StorageAutoGrowEnabled
	}
	out := &azure.ServerArgs{
		ResourceGroupName:          args.ResourceGroupName,
		ServerName:                 pulumi.String(args.Names.PostgresServer),
		Location:                   pulumi.String(args.Location),
		Version:                    pulumi.String(s.Version),
		AdministratorLogin:         pulumi.String(s.AdminLogin),
		AdministratorLoginPassword: password,
		Sku:                        azure.SkuArgs{Name: pulumi.String(s.SKUName), Tier: pulumi.String(s.SKUTier)},
		Storage: azure.StorageArgs{
			StorageSizeGB: pulumi.Int(s.StorageGB),
			AutoGrow:      pulumi.String(autoGrow),
		},
		Backup: azure.BackupTypeArgs{
			BackupRetentionDays: pulumi.Int(s.BackupDays),
			GeoRedundantBackup:  pulumi.String(geo),
		},
		HighAvailability: azure.HighAvailabilityArgs{Mode: pulumi.String(s.HighAvailability)},
		AuthConfig: azure.AuthConfigArgs{
			// People sign in as themselves; the application has a password that only the vault knows.
			ActiveDirectoryAuth: pulumi.String(azure.ActiveDirectoryAuthEnumEnabled),
			PasswordAuth:        pulumi.String(azure.PasswordAuthEnumEnabled),
			TenantId:            pulumi.String(args.TenantID),
		},
		Network: azure.NetworkArgs{
			DelegatedSubnetResourceId:   args.SubnetID,
			PrivateDnsZoneArmResourceId: args.ZoneID,
		},
		Tags: args.Tags,
	}
	if s.Maintenance.Day != "" {
		start, _ := time.Parse(timeOfDay, s.Maintenance.Start) // Load has checked it
		out.MaintenanceWindow = azure.MaintenanceWindowArgs{
			CustomWindow: pulumi.String("Enabled"),
			DayOfWeek:    pulumi.Int(slices.Index(weekdays, s.Maintenance.Day)),
			StartHour:    pulumi.Int(start.Hour()),
			StartMinute:  pulumi.Int(start.Minute()),
		}
	}
	return out
}
