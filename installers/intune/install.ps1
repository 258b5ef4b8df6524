# Installs the MSI beside this script, or upgrades, without a question. For Intune (Win32 app), Configuration
# Manager and GPO start-up scripts; runs as SYSTEM. The join token comes from the file join.token beside
# it: it goes into pilotfish.yml, never into an argument, an environment variable or a log.
param(
    [string] $Zone = '',
    [ValidateSet('agentd', 'service', 'relay')] [string] $ApplyMode = 'service',
    [string] $Proxy = ''
)
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

$msi = Get-ChildItem -Path $PSScriptRoot -Filter 'pilotfish*.msi' | Sort-Object Name | Select-Object -Last 1
if ($null -eq $msi) { Write-Error 'no pilotfish*.msi beside this script'; exit 2 }

$folder = Join-Path $env:ProgramData 'Pilotfish'
$config = Join-Path $folder 'pilotfish.yml'
$token = Join-Path $PSScriptRoot 'join.token'

# Only SYSTEM and administrators, before anything is written into it. Well-known SIDs: names are translated.
function Protect-Folder([string] $Path) {
    if (-not (Test-Path -LiteralPath $Path)) { New-Item -ItemType Directory -Path $Path | Out-Null }
    & "$env:SystemRoot\System32\icacls.exe" $Path /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls failed: $LASTEXITCODE" }
}

# An existing configuration stays: it may have been changed on purpose.
if (-not (Test-Path -LiteralPath $config)) {
    if (-not (Test-Path -LiteralPath $token)) { Write-Error 'join.token is missing beside this script'; exit 2 }
    $text = (Get-Content -LiteralPath $token -Raw).Trim()
    if ($text -notmatch '^pfj1\.[A-Za-z0-9_-]+\.[0-9a-f]{8}$') { Write-Error 'join.token holds no join token'; exit 2 }
    if ($Zone -notmatch '^[A-Za-z0-9_-]{0,64}$') { Write-Error 'Zone: A-Z a-z 0-9 _ -'; exit 2 }
    Protect-Folder $folder
    $lines = @("joinToken: $text")
    if ($Zone -ne '') { $lines += "zone: $Zone" }
    $lines += 'apply:', "  mode: $ApplyMode"
    if ($Proxy -ne '') {
        if ($Proxy -notmatch '^https?://[A-Za-z0-9.:-]+$') { Write-Error 'Proxy: http://HOST:PORT'; exit 2 }
        $lines += 'sources:', "  proxy: $Proxy"
    }
    # UTF-8 without a mark, and whole or not at all.
    [IO.File]::WriteAllText("$config.new", ($lines -join "`r`n") + "`r`n")
    Move-Item -LiteralPath "$config.new" -Destination $config -Force
}

$arguments = @('/i', "`"$($msi.FullName)`"", '/qn', '/norestart')
$run = Start-Process -FilePath "$env:SystemRoot\System32\msiexec.exe" -ArgumentList $arguments -Wait -PassThru
# 0 done, 3010 done and a restart is due; Intune knows both.
exit $run.ExitCode
