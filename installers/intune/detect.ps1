# Detection rule (Intune, Configuration Manager): installed, of the wanted version, and running.
# Prints one line and exits 0 when found; exits 1 otherwise. Reads only.
param([string] $Version = '')
$ErrorActionPreference = 'Stop'

$service = Get-Service -Name 'Pilotfish' -ErrorAction SilentlyContinue
if ($null -eq $service -or $service.Status -ne 'Running') { exit 1 }

$uninstall = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*'
$product = Get-ItemProperty -Path $uninstall -ErrorAction SilentlyContinue |
    Where-Object { $_.DisplayName -eq 'Pilotfish' } | Select-Object -First 1
if ($null -eq $product) { exit 1 }
if ($Version -ne '' -and [version] $product.DisplayVersion -lt [version] $Version) { exit 1 }

Write-Output "Pilotfish $($product.DisplayVersion)"
exit 0
