<#
.SYNOPSIS
Has Windows' Task Scheduler keep the bot running: registers the task, or takes it away.

.DESCRIPTION
    powershell -ExecutionPolicy Bypass -File deploy\windows-task.ps1
    powershell -ExecutionPolicy Bypass -File deploy\windows-task.ps1 -Unregister

The bot starts with Windows, before anybody signs in, and is looked after every five minutes: that is the restart after
an error, which the scheduler's own "restart on failure" does not do for a program that ended. Registering this needs an
administrator; the bot itself runs with your rights, without your password being kept. With -WhenSignedIn no
administrator is needed, and the bot runs while you are signed in.

For Windows PowerShell 5.1 and PowerShell 7. Exit codes: 0 done, 1 not done (the last line says why, and what to do).

.PARAMETER Folder
Where .env and data are: the bot runs there. Default is the folder above this script, in which .venv is.

.PARAMETER Name
The name of the task; two bots need two.

.PARAMETER WhenSignedIn
Only while you are signed in.

.PARAMETER Unregister
Stops the bot and takes the task away.

.EXAMPLE
    powershell -ExecutionPolicy Bypass -File deploy\windows-task.ps1 -WhenSignedIn
#>
# ASCII only: Windows PowerShell reads a file without a mark as cp1252.
[CmdletBinding()]
param(
    [string] $Folder = '',
    [string] $Name = 'sususbot',
    [switch] $WhenSignedIn,
    [switch] $Unregister
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

# How often the scheduler looks whether the bot still runs.
$MinutesBetweenLooks = 5
# How long the bot is watched before it is said to run.
$SecondsToLook = 5

function Stop-Script {
    param([string] $Sentence)
    [Console]::Error.WriteLine("windows-task: $Sentence")
    exit 1
}

function Find-Folder {
    # Whole, for the scheduler starts elsewhere.
    if (-not $Folder) {
        return Split-Path -Parent $PSScriptRoot
    }
    if (-not (Test-Path -LiteralPath $Folder -PathType Container)) {
        Stop-Script "there is no folder ${Folder}: name the bot's with -Folder"
    }
    return (Resolve-Path -LiteralPath $Folder).ProviderPath
}

function Get-Task {
    return Get-ScheduledTask -TaskName $Name -ErrorAction SilentlyContinue
}

function Test-Administrator {
    $me = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    return $me.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

function Find-Program {
    # Without a window of its own: the task has nowhere to show one. One program may serve several bots' folders.
    $program = Join-Path (Split-Path -Parent $PSScriptRoot) '.venv\Scripts\pythonw.exe'
    if (-not (Test-Path -LiteralPath $program)) {
        Stop-Script "there is no ${program}: run setup.ps1 first"
    }
    return $program
}

function Test-Settings {
    # A bot without a window has no other place to speak than its log file.
    $settings = Join-Path $Folder '.env'
    if (-not (Test-Path -LiteralPath $settings)) {
        Stop-Script "there is no ${settings}: run  sususbot init  in that folder first, or name another with -Folder"
    }
    if (-not (Select-String -LiteralPath $settings -Pattern '^\s*LOG_FILE\s*=\s*\S' -Quiet)) {
        Stop-Script ("LOG_FILE is not set in ${settings}, and the bot has no other place to speak: add the line  " +
            "LOG_FILE=data/logs/bot.jsonl  to it")
    }
}

function New-Triggers {
    $span = New-TimeSpan -Minutes $MinutesBetweenLooks
    New-ScheduledTaskTrigger -Once -At (Get-Date) -RepetitionInterval $span
    if (-not $WhenSignedIn) {
        New-ScheduledTaskTrigger -AtStartup
    }
}

function New-Principal {
    # S4U: signed in by the system on your behalf, which asks for no password and keeps none.
    $logon = 'S4U'
    if ($WhenSignedIn) {
        $logon = 'Interactive'
    }
    $me = [System.Security.Principal.WindowsIdentity]::GetCurrent().Name
    return New-ScheduledTaskPrincipal -UserId $me -LogonType $logon -RunLevel Limited
}

function New-Settings {
    # Never ended for running long, and never twice at once.
    return New-ScheduledTaskSettingsSet -ExecutionTimeLimit ([TimeSpan]::Zero) -MultipleInstances IgnoreNew `
        -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable
}

function Register-Bot {
    if (-not ($WhenSignedIn -or (Test-Administrator))) {
        Stop-Script ('starting with Windows is for administrators to set: open PowerShell with "Run as administrator" ' +
            'and run this again, or add -WhenSignedIn')
    }
    $program = Find-Program
    Test-Settings
    $action = New-ScheduledTaskAction -Execute $program -Argument '-m sususbot bot' -WorkingDirectory $Folder
    $task = New-ScheduledTask -Action $action -Trigger @(New-Triggers) -Principal (New-Principal) -Settings (New-Settings)
    try {
        Register-ScheduledTask -TaskName $Name -InputObject $task -Force | Out-Null
        Start-ScheduledTask -TaskName $Name
    } catch {
        Stop-Script "Windows did not take the task ($($_.Exception.Message.Trim())): run this as administrator"
    }
    Write-State
}

function Write-State {
    # A bot that cannot start ends within seconds.
    Start-Sleep -Seconds $SecondsToLook
    $task = Get-Task
    if (($null -eq $task) -or ($task.State -ne 'Running')) {
        Stop-Script ("$Name is registered and does not run: read the end of LOG_FILE, or see what  " +
            "sususbot bot  says in $Folder")
    }
    Write-Host ("windows-task: $Name runs; what it says is in LOG_FILE. To stop it:  " +
        "Disable-ScheduledTask $Name; Stop-ScheduledTask $Name")
}

function Unregister-Bot {
    if ($null -eq (Get-Task)) {
        Write-Host "windows-task: there is no task ${Name}: nothing is to be done"
        return
    }
    try {
        Stop-ScheduledTask -TaskName $Name
        Unregister-ScheduledTask -TaskName $Name -Confirm:$false
    } catch {
        Stop-Script "Windows did not let go of the task ($($_.Exception.Message.Trim())): run this as administrator"
    }
    Write-Host "windows-task: $Name is stopped and gone; its data stay in $Folder"
}

if ($env:OS -ne 'Windows_NT') {
    Stop-Script 'the Task Scheduler is Windows'' own: on Linux take deploy/sususbot.service'
}
$Folder = Find-Folder
if ($Unregister) {
    Unregister-Bot
} else {
    Register-Bot
}
exit 0
