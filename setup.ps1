<#
.SYNOPSIS
Sets sususbot up on Windows: finds Python, makes .venv, installs torch and llama.cpp for your graphics card and the
program, and ends with sususbot doctor. Needs no administrator. Run it again as often as you like: what is done is not
done twice, and what was interrupted begins anew.

.DESCRIPTION
    powershell -ExecutionPolicy Bypass -File setup.ps1

For Windows PowerShell 5.1, which every Windows has, and PowerShell 7. Exit codes: 0 it is set up (whatever doctor
found), 1 it is not (the last line says why, and what to do), 2 it was called wrongly.

What is Windows' own is here; what is installed, and in which version, is tools/environment.py's to say, on Linux too.
What may be changed: the tables below. tests/test_setup_script.py compares them with the program.
Long because it runs before anything of ours is installed: one file that a person can read first, and nothing to load.

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
$TorchIndex = 'https://download.pytorch.org/whl/'
# Builds of torch for NVIDIA's cards, best first: the oldest driver for each (NVIDIA's "CUDA Compatibility", minor
# version compatibility, table 1; for CUDA 12 on Windows its toolkit's release notes), and which cards it has code for,
# by their compute capability (torch's own list of architectures).
$TorchBuilds = @(
    @{ Build = 'cu130'; Driver = 580; Oldest = 7.5; Newest = 12.9 }
    @{ Build = 'cu126'; Driver = 528; Oldest = 5.0; Newest = 9.0 }
)
$LlamaIndex = 'https://xorbitsai.github.io/xllamacpp/whl/'
# Builds of llama.cpp (xllamacpp), by its README's "CUDA GPU Architecture Coverage": native code runs on every driver
# of the same CUDA; all other code is compiled by the driver, which must be as new as the build.
$LlamaBuilds = @(
    @{ Build = 'cu132'; Driver = 580; Cards = @('7.5', '8.6', '8.9', '12.0') }
    @{ Build = 'cu128'; Driver = 570; Cards = @() }
    @{ Build = 'cu128'; Driver = 528; Cards = @('8.6', '8.9') }
)
# The longest path of an installed package, from the project's folder on. Windows ends paths at 259 without long paths.
$LongestInside = 200
$LongestPath = 259

$Root = $PSScriptRoot
$Venv = Join-Path $Root '.venv'
$VenvPython = Join-Path $Venv 'Scripts\python.exe'

# -- speaking and running ----------------------------------------------------------------------------------------

function Write-Step {
    param([string] $Sentence)
    Write-Host "setup: $Sentence"
}

function Stop-Setup {
    # The one way to fail: a sentence with the next step, last on the screen.
    param([string] $Sentence, [int] $Code = 1)
    [Console]::Error.WriteLine("setup: $Sentence")
    exit $Code
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
    $target = New-Object System.Uri $TorchIndex
    try {
        $proxy = [System.Net.WebRequest]::GetSystemWebProxy().GetProxy($target)
    } catch {
        return
    }
    if (($null -ne $proxy) -and ($proxy.Host -ne $target.Host)) {
        $env:HTTPS_PROXY = $proxy.AbsoluteUri.TrimEnd('/')
        Write-Step "going through Windows' proxy $($proxy.Host):$($proxy.Port)"
    }
}

function Clear-PythonSettings {
    # What would lead this Python to another one's packages; and the install manager must not install by itself.
    $misleading = @('PYTHONHOME', 'PYTHONPATH', 'PYTHONSTARTUP', 'PIP_TARGET', 'PIP_USER', 'PIP_REQUIRE_VIRTUALENV')
    foreach ($name in $misleading) {
        Remove-Item -Path "Env:$name" -ErrorAction SilentlyContinue
    }
    $env:PYTHON_MANAGER_AUTOMATIC_INSTALL = 'false'
    # Paths with umlauts come through whole.
    $env:PYTHONUTF8 = '1'
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

# -- the card ----------------------------------------------------------------------------------------------------

function Get-DriverTools {
    # Where the driver puts its tool. A 32-bit PowerShell sees System32 under another name.
    'nvidia-smi.exe'
    "$env:SystemRoot\System32\nvidia-smi.exe"
    "$env:SystemRoot\Sysnative\nvidia-smi.exe"
    "$env:ProgramFiles\NVIDIA Corporation\NVSMI\nvidia-smi.exe"
}

function ConvertTo-Card {
    # A line of nvidia-smi, such as "552.44, 7.5", whatever the language of Windows. Old drivers tell no capability.
    param([string] $Line)
    $driver, $capability = $Line -split ',' | ForEach-Object { $_.Trim() }
    if ($driver -notmatch '^\d+') {
        return $null
    }
    if ($capability -notmatch '^\d+\.\d+$') {
        $capability = ''
    }
    return @{ Driver = [int](($driver -split '\.')[0]); Told = $driver; Capability = $capability }
}

function Find-Card {
    # The first NVIDIA card; $null where there is none.
    foreach ($tool in Get-DriverTools) {
        foreach ($fields in @('driver_version,compute_cap', 'driver_version')) {
            $told = Read-Tool $tool @("--query-gpu=$fields", '--format=csv,noheader')
            if ($told) {
                $card = ConvertTo-Card ($told -split "`r?`n")[0]
                if ($null -ne $card) {
                    return $card
                }
            }
        }
    }
    return $null
}

function Select-TorchBuild {
    # The best build that driver and card can use; 'cpu' where there is none.
    param($Card)
    if ($null -eq $Card) {
        return 'cpu'
    }
    foreach ($row in $TorchBuilds) {
        $known = $true
        if ($Card.Capability) {
            $capability = [double]::Parse($Card.Capability, [System.Globalization.CultureInfo]::InvariantCulture)
            $known = ($capability -ge $row.Oldest) -and ($capability -le $row.Newest)
        }
        if ($known -and ($Card.Driver -ge $row.Driver)) {
            return $row.Build
        }
    }
    return 'cpu'
}

function Select-LlamaBuild {
    # The build of llama.cpp for the card; empty where the processor's is the one.
    param($Card)
    if ($null -eq $Card) {
        return ''
    }
    foreach ($row in $LlamaBuilds) {
        $known = ($row.Cards.Count -eq 0) -or ($row.Cards -contains $Card.Capability)
        if ($known -and ($Card.Driver -ge $row.Driver)) {
            return $row.Build
        }
    }
    return ''
}

function Write-Card {
    # What was found, and what follows.
    param($Card, [string] $Build)
    if ($null -eq $Card) {
        Write-Step 'no NVIDIA card is used: answers come from the processor, and nothing is trained here'
    } elseif ($Build -eq 'cpu') {
        $newest = $TorchBuilds[0].Driver
        Write-Step ("the card's driver $($Card.Told) is too old for torch: the processor is used; " +
            "install NVIDIA's driver $newest or newer and run setup.ps1 again")
    } else {
        Write-Step "driver $($Card.Told): torch for $Build"
    }
}

# -- installing --------------------------------------------------------------------------------------------------

function Get-InstalledBuild {
    # Which torch is in .venv: cu130, cpu; $null where there is none.
    $ask = "from importlib.metadata import version; print((version('torch') + '+cpu').split('+')[1])"
    return Read-Tool $VenvPython @('-c', $ask)
}

function Remove-Environment {
    param([string] $Why)
    Write-Step ".venv is made anew: $Why"
    try {
        Remove-Item -LiteralPath $Venv -Recurse -Force
    } catch {
        Stop-Setup "$Venv cannot be removed: close what runs from it (a bot, an editor) and run setup.ps1 again"
    }
}

function Clear-OldEnvironment {
    # What tools/environment.py would keep, though it is not what is wanted.
    param([string] $Build)
    if (-not (Test-Path -LiteralPath $Venv)) {
        return
    }
    $installed = Get-InstalledBuild
    if ($Force) {
        Remove-Environment 'as you said (-Force)'
    } elseif ($null -eq (Read-Tool $VenvPython @('-c', 'pass'))) {
        Remove-Environment 'its Python does not run (any more)'
    } elseif ($installed -and ($installed -ne $Build) -and -not $env:TORCH_INDEX) {
        Remove-Environment "torch in it is for $installed, and $Build is wanted"
    }
}

function Install-Program {
    # In one place for all systems; torch is told where from.
    param([hashtable] $From, [string] $Build)
    if (-not $env:TORCH_INDEX) {
        $env:TORCH_INDEX = "$TorchIndex$Build"
    }
    $kind = 'run'
    if ($Dev) {
        $kind = 'dev'
    }
    Invoke-Tool $From.File ($From.First + @('tools\environment.py', $kind))
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

function Install-Llama {
    # From its own index for a card, from the usual one for the processor.
    param([string] $Version, [string[]] $From)
    $what = @('--disable-pip-version-check', '--no-deps', '--force-reinstall', "xllamacpp==$Version")
    Invoke-Tool $VenvPython (@('-m', 'pip', 'install', '--quiet') + $what + $From)
}

function Install-LlamaForCard {
    # In place of the processor's build. What does not load is taken back: slow answers are better than none.
    param([string] $Build)
    $noted = Join-Path $Venv 'llama-build.txt'
    $ask = "from importlib.metadata import version; print(version('xllamacpp').split('+')[0])"
    $version = Read-Tool $VenvPython @('-c', $ask)
    $wanted = "$Build $version"
    if ((-not $Build) -or ((Test-Path -LiteralPath $noted) -and ([System.IO.File]::ReadAllText($noted) -eq $wanted))) {
        return
    }
    Write-Step "installing llama.cpp for the card ($Build)"
    Install-Llama $version @('--index-url', "$LlamaIndex$Build")
    if ($script:Succeeded -and ($null -ne (Read-Tool $VenvPython @('-c', 'import xllamacpp')))) {
        [System.IO.File]::WriteAllText($noted, $wanted)
        return
    }
    Write-Step 'llama.cpp for the card could not be had or does not load: the processor answers (docs/serving.md)'
    Install-Llama $version @()
    if (-not $script:Succeeded) {
        Stop-Setup 'llama.cpp could not be installed: check the network and run  setup.ps1 -Force'
    }
}

function Test-Torch {
    # What torch needs of Windows itself is not in its wheel.
    if ($null -eq (Read-Tool $VenvPython @('-c', 'import torch'))) {
        Stop-Setup ('torch was installed and does not load: run  winget install Microsoft.VCRedist.2015+.x64  ' +
            'and then setup.ps1 again')
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
Set-Location -LiteralPath $Root
Clear-PythonSettings
Test-Folder
Test-LongPaths
Use-SystemProxy

$card = $null
if (-not $Cpu) {
    $card = Find-Card
}
$build = Select-TorchBuild $card
$llama = Select-LlamaBuild $card
Write-Card $card $build

$with = Find-Python
Clear-OldEnvironment $build
Install-Program $with $build
Install-Extras
Install-LlamaForCard $llama
Test-Torch

Invoke-Tool $VenvPython @('-m', 'sususbot', 'doctor')
if ($script:Succeeded) {
    Write-Step 'done. Next:  .venv\Scripts\activate  and then  sususbot demo  or, for your own server,  sususbot init'
} else {
    Write-Step 'it is installed, and sususbot doctor found what stands above: mend that, then go on with  sususbot init'
}
exit 0
