# bash completion for roam; made by packaging/dev/describe_commands.py

_roam_profiles() {
    local file
    for file in "${XDG_CONFIG_HOME:-$HOME/.config}"/roam/profiles/*.toml /etc/roam/profiles/*.toml; do
        [[ -e $file ]] && file=${file##*/} && printf '%s\n' "${file%.toml}"
    done
}

_roam() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket) ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    COMPREPLY=()
    case $command,$before in
        ,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        up,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        up,--timeout) :; return ;;
        down,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        status,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        watch,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        answer,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        signer,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        rekey,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        rekey,--timeout) :; return ;;
        reauth,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        reauth,--timeout) :; return ;;
        wait,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        wait,--for) mapfile -t COMPREPLY < <(compgen -W "state traffic dns" -- "$word"); return ;;
        wait,--state) mapfile -t COMPREPLY < <(compgen -W "off connecting up moving waiting blocked closing" -- "$word"); return ;;
        wait,--timeout) :; return ;;
        verify,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        verify,--target) :; return ;;
        verify,--timeout) :; return ;;
        cleanup,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        cleanup,--state-dir) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        lockdown,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        lockdown,--state-dir) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        portal,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        portal,--seconds) :; return ;;
        explain,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        explain,--file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        probe,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        probe,--port) :; return ;;
        doctor,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        log,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        log,--lines|log,-n) :; return ;;
        log,--level) mapfile -t COMPREPLY < <(compgen -W "debug info warning error" -- "$word"); return ;;
        log,--set-level) mapfile -t COMPREPLY < <(compgen -W "debug info warning error" -- "$word"); return ;;
        report,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        report,--output|report,-o) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        rpc,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        rpc,--timeout) :; return ;;
        profiles,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        profiles,--set) :; return ;;
        new,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        new,--server) :; return ;;
        new,--user) :; return ;;
        new,--login) mapfile -t COMPREPLY < <(compgen -W "password cert psk" -- "$word"); return ;;
        new,--cert) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        new,--ca) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        new,--preset) :; return ;;
        new,--network) :; return ;;
        new,--static) :; return ;;
        import,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        import,--name) :; return ;;
        import,--server) :; return ;;
        import,--user) :; return ;;
        export,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        export,--to) mapfile -t COMPREPLY < <(compgen -W "mobileconfig sswan swanctl" -- "$word"); return ;;
        export,--output|export,-o) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        version,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        tui,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        selftest,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        demo,--socket) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        demo,--keep) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    esac
    case $command in
        "") mapfile -t COMPREPLY < <(compgen -W "up down status watch answer signer rekey reauth wait verify cleanup lockdown portal explain probe doctor log report rpc profiles new import export version tui selftest demo -h --help --version --socket --json" -- "$word") ;;
        up) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --ask --wait --no-wait --timeout" -- "$word") ;;
        down) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --force" -- "$word") ;;
        status) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json" -- "$word") ;;
        watch) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --notify" -- "$word") ;;
        answer) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --cancel" -- "$word") ;;
        signer) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --ask" -- "$word") ;;
        rekey) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --ike --wait --no-wait --timeout" -- "$word") ;;
        reauth) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --wait --no-wait --timeout" -- "$word") ;;
        wait) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --for --state --timeout" -- "$word") ;;
        verify) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --target --timeout" -- "$word") ;;
        cleanup) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --state-dir" -- "$word") ;;
        lockdown) mapfile -t COMPREPLY < <(compgen -W "on off status -h --help --socket --json --no-lan --state-dir" -- "$word") ;;
        portal) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --close --seconds" -- "$word") ;;
        explain) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --file" -- "$word") ;;
        probe) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --port" -- "$word") ;;
        doctor) mapfile -t COMPREPLY < <(compgen -W "dns -h --help --socket --json" -- "$word") ;;
        log) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --follow -f --lines -n --level --set-level" -- "$word") ;;
        report) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --output -o --keep-addresses" -- "$word") ;;
        rpc) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --timeout" -- "$word") ;;
        profiles) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --check --show --set" -- "$word") ;;
        new) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --server --user --login --cert --ca --shared-key --preset --network --static --no-probe --force --yes -y" -- "$word") ;;
        import) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --name --server --user --dry-run --force --keep-secrets" -- "$word"; compgen -f -- "$word") ;;
        export) mapfile -t COMPREPLY < <(compgen -W "$(_roam_profiles) -h --help --socket --json --to --output -o --force" -- "$word") ;;
        version) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json" -- "$word") ;;
        tui) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --plain" -- "$word") ;;
        selftest) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json" -- "$word") ;;
        demo) mapfile -t COMPREPLY < <(compgen -W "-h --help --socket --json --tui --keep" -- "$word") ;;
    esac
}

complete -F _roam roam
