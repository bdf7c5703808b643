# what an administrator mails: run as yourself
$name = "Example Office"
$server = 'vpn.example.com'

Add-VpnConnection -Name $name -ServerAddress $server -TunnelType IKEv2 `
    -AuthenticationMethod Eap -EncryptionLevel Maximum -SplitTunneling -RememberCredential `
    -DnsSuffix corp.example.com -PassThru
Set-VpnConnectionIPsecConfiguration -ConnectionName $name -AuthenticationTransformConstants GCMAES256 `
    -CipherTransformConstants GCMAES256 -EncryptionMethod AES256 -IntegrityCheckMethod SHA384 `
    -DHGroup ECP384 -PfsGroup ECP384 -Force
Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix 198.51.100.0/24
Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix 203.0.113.0/24
