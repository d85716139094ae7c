<#
.SYNOPSIS
Sets sususbot up on Windows: finds Python, has it make .venv with torch and llama.cpp for your graphics card and the
program, and ends with sususbot doctor. Needs no administrator. Run it again as often as you like: what is done is not
done twice, and what was interrupted begins anew.

.DESCRIPTION
    powershell -ExecutionPolicy Bypass -File setup.ps1

For Windows PowerShell 5.1, which every Windows has, and PowerShell 7. Exit codes: 0 it is set up (whatever doctor
found), 1 it is not (the last line says why, and what to do).

What is Windows' own is here; what is installed, in which version and for which card is tools/environment.py's to say,
on Linux too. What may be changed: the tables below. Where it is called from, nothing stays as this script sets it.

.PARAMETER Cpu
Without a graphics card, whatever is found.

.PARAMETER Python
The python.exe to use, instead of the one that would be found.

.PARAMETER Extras
Extras of the package beyond those that the commands need, by commas: chroma.

.PARAMETER Dev
What the tests need, too.

.PARAMETER Force
Makes .venv anew, even if it is complete.

.EXAMPLE
    powershell -ExecutionPolicy Bypass -File setup.ps1 -Cpu
#>
# ASCII only: Windows PowerShell reads a file without a mark as cp1252.
[CmdletBinding()]
param(
    [switch] $Cpu,
    [string] $Python = '',
    [string] $Extras = '',
    [switch] $Dev,
    [switch] $Force
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
# PowerShell 7 would end the script at the first program that fails; each is looked at here.
$PSNativeCommandUseErrorActionPreference = $false

# -- tables ------------------------------------------------------------------------------------------------------

# Versions of Python that torch has wheels for, best first.
$PythonVersions = @('3.12', '3.13', '3.11', '3.14')
# The longest path of an installed package, from the project's folder on. Windows ends paths at 259 without long paths.
$LongestInside = 200
$LongestPath = 259

$Root = $PSScriptRoot
$Venv = Join-Path $Root '.venv'
$VenvPython = Join-Path $Venv 'Scripts\python.exe'
# What the environment of this window was before.
$Before = @{}

# -- speaking and running ----------------------------------------------------------------------------------------

function Write-Step {
    param([string] $Sentence)
    Write-Host "setup: $Sentence"
}

function Stop-Setup {
    # The one way to fail: a sentence with the next step, last on the screen.
    param([string] $Sentence)
    [Console]::Error.WriteLine("setup: $Sentence")
    exit 1
}

function Read-Tool {
    # What a program prints; $null where it fails or is not there.
    param([string] $File, [string[]] $Arguments)
    # Windows PowerShell takes what a program says on stderr for an error of the script.
    $ErrorActionPreference = 'Continue'
    try {
        $lines = & $File @Arguments 2>$null
    } catch {
        return $null
    }
    if ($LASTEXITCODE -ne 0) {
        return $null
    }
    return ($lines | Out-String).Trim()
}

function Invoke-Tool {
    # Runs a program in sight, and keeps whether it went well. Never to be captured: its words would be, too.
    param([string] $File, [string[]] $Arguments)
    $ErrorActionPreference = 'Continue'
    $script:Succeeded = $false
    try {
        & $File @Arguments
    } catch {
        [Console]::Error.WriteLine($_.Exception.Message)
        return
    }
    $script:Succeeded = ($LASTEXITCODE -eq 0)
}

function Set-ForNow {
    # A variable of the environment, until the end of this script; $null takes it away.
    param([string] $Name, $Value)
    if (-not $Before.ContainsKey($Name)) {
        $Before[$Name] = [System.Environment]::GetEnvironmentVariable($Name)
    }
    Write-Variable $Name $Value
}

function Write-Variable {
    param([string] $Name, $Value)
    if ($null -eq $Value) {
        Remove-Item -Path "Env:$Name" -ErrorAction SilentlyContinue
    } else {
        Set-Item -Path "Env:$Name" -Value $Value
    }
}

function Reset-Environment {
    foreach ($name in @($Before.Keys)) {
        Write-Variable $name $Before[$name]
    }
}

# -- the machine -------------------------------------------------------------------------------------------------

function Test-LongPaths {
    # Whether Windows lets paths be longer than 259 characters; only asked where this folder is deep.
    if ($Root.Length + 1 + $LongestInside -le $LongestPath) {
        return
    }
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Control\FileSystem'
    $value = Get-ItemProperty -Path $key -Name LongPathsEnabled -ErrorAction SilentlyContinue
    if (($null -ne $value) -and ($value.LongPathsEnabled -eq 1)) {
        return
    }
    Stop-Setup ("$Root is too deep for Windows' limit on paths: move this folder to a short one such as C:\sususbot, " +
        "or have an administrator run  reg add HKLM\SYSTEM\CurrentControlSet\Control\FileSystem " +
        "/v LongPathsEnabled /t REG_DWORD /d 1 /f  and start Windows anew")
}

function Test-Folder {
    # Writable, and not under OneDrive, which holds files while they are written.
    $probe = Join-Path $Root '.setup-probe'
    try {
        [System.IO.File]::WriteAllText($probe, '')
        [System.IO.File]::Delete($probe)
    } catch {
        Stop-Setup "$Root cannot be written: copy this folder to where you may write, such as your own folder"
    }
    if ($env:OneDrive -and $Root.StartsWith($env:OneDrive, [System.StringComparison]::OrdinalIgnoreCase)) {
        Write-Step "$Root lies in OneDrive, which holds files while they are written: better move it out"
    }
}

function Use-SystemProxy {
    # What the browser goes through, a proxy script too: pip reads only a proxy that is named.
    if ($env:HTTPS_PROXY -or $env:HTTP_PROXY -or $env:ALL_PROXY) {
        return
    }
    $target = New-Object System.Uri 'https://download.pytorch.org/'
    try {
        $proxy = [System.Net.WebRequest]::GetSystemWebProxy().GetProxy($target)
    } catch {
        return
    }
    if (($null -ne $proxy) -and ($proxy.Host -ne $target.Host)) {
        Set-ForNow 'HTTPS_PROXY' $proxy.AbsoluteUri.TrimEnd('/')
        Write-Step "going through Windows' proxy $($proxy.Host):$($proxy.Port)"
    }
}

function Clear-PythonSettings {
    # What would lead this Python to another one's packages; and the install manager must not install by itself.
    $misleading = @('PYTHONHOME', 'PYTHONPATH', 'PYTHONSTARTUP', 'PIP_TARGET', 'PIP_USER', 'PIP_REQUIRE_VIRTUALENV')
    foreach ($name in $misleading) {
        Set-ForNow $name $null
    }
    Set-ForNow 'PYTHON_MANAGER_AUTOMATIC_INSTALL' 'false'
    # Paths with umlauts come through whole.
    Set-ForNow 'PYTHONUTF8' '1'
}

# -- Python ------------------------------------------------------------------------------------------------------

function New-Candidate {
    param([string] $File, [string[]] $First = @())
    return @{ File = $File; First = $First }
}

function Get-RegisteredPythons {
    # Where installers of Python note themselves (PEP 514), for this user and for all.
    param([string] $Version)
    foreach ($hive in @('HKCU:', 'HKLM:')) {
        $key = "$hive\Software\Python\PythonCore\$Version\InstallPath"
        $folder = Get-ItemProperty -Path $key -Name '(default)' -ErrorAction SilentlyContinue
        if ($null -ne $folder) {
            New-Candidate (Join-Path $folder.'(default)' 'python.exe')
        }
    }
}

function Get-PythonsOnPath {
    # Those of the Store last: without Python installed they are stubs that only open the Store.
    $names = @('python.exe', 'python3.exe')
    $found = @(Get-Command -Name $names -CommandType Application -All -ErrorAction SilentlyContinue)
    $paths = @($found | ForEach-Object { $_.Source } | Where-Object { -not $_.StartsWith($Venv) })
    foreach ($stubs in @($false, $true)) {
        foreach ($path in $paths) {
            if (($path -like '*\WindowsApps\*') -eq $stubs) {
                New-Candidate $path
            }
        }
    }
}

function Get-Candidates {
    # All there is to try, best first.
    foreach ($version in $PythonVersions) {
        New-Candidate 'py.exe' @("-$version")
        Get-RegisteredPythons $version
    }
    Get-PythonsOnPath
}

function Get-PythonFault {
    # Why a Python does not serve; empty where it does.
    param([hashtable] $Candidate)
    # No double quotes in it: Windows PowerShell drops them on the way to a program.
    $ask = "import sys, sysconfig; print('%d.%d' % sys.version_info[:2], sysconfig.get_platform())"
    $told = Read-Tool $Candidate.File ($Candidate.First + @('-c', $ask))
    if (-not $told) {
        return 'it does not run'
    }
    $version, $platform = $told -split ' '
    if ($PythonVersions -notcontains $version) {
        return "it is Python $version, and sususbot needs one of $($PythonVersions -join ', ')"
    }
    if ($platform -ne 'win-amd64') {
        return "it is built for $platform, and torch needs the 64-bit build (win-amd64)"
    }
    return ''
}

function Find-Python {
    if ($Python) {
        $chosen = New-Candidate $Python
        $fault = Get-PythonFault $chosen
        if ($fault) {
            Stop-Setup "$Python cannot be used, for ${fault}: name another with -Python, or leave -Python out"
        }
        return $chosen
    }
    foreach ($candidate in Get-Candidates) {
        if (-not (Get-PythonFault $candidate)) {
            return $candidate
        }
    }
    Stop-Setup ("no Python that sususbot can use was found (3.11 to 3.14, 64 bits): run  " +
        "winget install Python.Python.3.12  (or take the installer from python.org), open a new window and run " +
        "setup.ps1 again")
}

# -- installing --------------------------------------------------------------------------------------------------

function Install-Program {
    # In one place for all systems, and by its own Python: which builds fit, and what of it is there already.
    param([hashtable] $From)
    $kind = 'run'
    if ($Dev) {
        $kind = 'dev'
    }
    $arguments = @('tools\environment.py', $kind, '--look')
    if ($Cpu) {
        $arguments += '--cpu'
    }
    if ($Force) {
        $arguments += '--anew'
    }
    if ($Python) {
        $arguments += '--named'
    }
    Invoke-Tool $From.File ($From.First + $arguments)
    if (-not $script:Succeeded) {
        Stop-Setup 'it is not installed: do what the line above says, and run setup.ps1 again'
    }
}

function Install-Extras {
    $named = @($Extras -split '[,\s]+' | Where-Object { $_ })
    if ($named.Count -eq 0) {
        return
    }
    Write-Step "installing $($named -join ', ')"
    Invoke-Tool $VenvPython @('-m', 'pip', 'install', '--quiet', '--editable', ".[$($named -join ',')]")
    if (-not $script:Succeeded) {
        Stop-Setup "the extras $($named -join ', ') could not be installed: pip says why above"
    }
}

function Install-All {
    Clear-PythonSettings
    Test-Folder
    Test-LongPaths
    Use-SystemProxy
    Install-Program (Find-Python)
    Install-Extras
}

function Complete-Setup {
    # Programs by their paths: what switches .venv on is a script, and Windows as it comes runs none.
    Invoke-Tool $VenvPython @('-m', 'sususbot', 'doctor')
    if ($script:Succeeded) {
        Write-Step ('done. Next:  .venv\Scripts\sususbot.exe demo  or, for your own server,  ' +
            '.venv\Scripts\sususbot.exe init')
    } else {
        Write-Step ('it is installed, and sususbot doctor found what stands above: mend that, then go on with  ' +
            '.venv\Scripts\sususbot.exe init')
    }
}

# -- the steps, top to bottom ------------------------------------------------------------------------------------

if ($env:OS -ne 'Windows_NT') {
    Stop-Setup 'setup.ps1 is for Windows: run  make demo  here'
}
if (-not (Test-Path -LiteralPath (Join-Path $Root 'pyproject.toml'))) {
    Stop-Setup 'setup.ps1 stands alone here: keep it in the folder that it came with'
}
if ($Python -and (Test-Path -LiteralPath $Python)) {
    $Python = (Resolve-Path -LiteralPath $Python).ProviderPath
}
Push-Location -LiteralPath $Root
# What is here runs after "exit" and Ctrl-C, too.
try {
    Install-All
    Complete-Setup
} finally {
    Pop-Location
    Reset-Environment
}
exit 0
