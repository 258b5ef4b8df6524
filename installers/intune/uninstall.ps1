# Removes Pilotfish; the MSI puts the agent's own server entries back first.
$ErrorActionPreference = 'Stop'
$uninstall = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*'
$product = Get-ItemProperty -Path $uninstall -ErrorAction SilentlyContinue |
    Where-Object { $_.DisplayName -eq 'Pilotfish' } | Select-Object -First 1
if ($null -eq $product) { exit 0 }
$code = $product.PSChildName
if ($code -notmatch '^\{[0-9A-Fa-f-]{36}\}$') { Write-Error "unexpected product code $code"; exit 1 }
$run = Start-Process -FilePath "$env:SystemRoot\System32\msiexec.exe" -ArgumentList '/x', $code, '/qn', '/norestart' -Wait -PassThru
exit $run.ExitCode
